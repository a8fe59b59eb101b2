"""Calls from native code into Python, in LLVM IR over Python's C interface.

A callback of ctypes cannot be used: an interrupt that arrives as the callback begins would be printed and forgotten,
and its result would be 0. Here whatever is raised is kept for the thread, under `EXCEPTION` in its dictionary, and the
status is 1, with which the native code returns.
"""

EXCEPTION = "nrx exception"

SYMBOLS = (
    "PyGILState_Ensure", "PyGILState_Release", "PyErr_CheckSignals", "PyErr_Clear", "PyErr_Fetch",
    "PyErr_NormalizeException", "PyException_SetTraceback", "PyObject_CallFunction", "PyThreadState_GetDict",
    "PyDict_SetItemString", "Py_DecRef",
)  # fmt: skip
"""Of Python's C interface: what the text below calls."""


def python_text() -> str:
    """LLVM IR of

    i64 poll()                        lets Python handle signals; only in the main thread does it do anything
    i64 host(i64 number, ptr words)   calls the Python object @host_object with both
    i64 start_workers()               calls the Python object @start_object
    """
    key = EXCEPTION.encode() + b"\0"
    return _TEXT.replace("@key@", f'[{len(key)} x i8] c"{EXCEPTION}\\00"')


_TEXT = """
@key = private constant @key@
@two = private constant [3 x i8] c"LL\\00"
@host_object = external global i8
@start_object = external global i8

declare i32 @PyGILState_Ensure()
declare void @PyGILState_Release(i32)
declare i32 @PyErr_CheckSignals()
declare void @PyErr_Clear()
declare void @PyErr_Fetch(ptr, ptr, ptr)
declare void @PyErr_NormalizeException(ptr, ptr, ptr)
declare i32 @PyException_SetTraceback(ptr, ptr)
declare ptr @PyObject_CallFunction(ptr, ptr, ...)
declare ptr @PyThreadState_GetDict()
declare i32 @PyDict_SetItemString(ptr, ptr, ptr)
declare void @Py_DecRef(ptr)

define i64 @poll() nounwind {
  %gil = call i32 @PyGILState_Ensure()
  %result = call i32 @PyErr_CheckSignals()
  %raised = icmp ne i32 %result, 0
  br i1 %raised, label %keep, label %done
keep:
  call void @keep_exception()
  br label %done
done:
  call void @PyGILState_Release(i32 %gil)
  %status = zext i1 %raised to i64
  ret i64 %status
}

define i64 @host(i64 %number, ptr %words) nounwind {
  %gil = call i32 @PyGILState_Ensure()
  %address = ptrtoint ptr %words to i64
  %result = call ptr (ptr, ptr, ...) @PyObject_CallFunction(ptr @host_object, ptr @two, i64 %number, i64 %address)
  %status = call i64 @finish(ptr %result)
  call void @PyGILState_Release(i32 %gil)
  ret i64 %status
}

define i64 @start_workers() nounwind {
  %gil = call i32 @PyGILState_Ensure()
  %result = call ptr (ptr, ptr, ...) @PyObject_CallFunction(ptr @start_object, ptr null)
  %status = call i64 @finish(ptr %result)
  call void @PyGILState_Release(i32 %gil)
  ret i64 %status
}

define internal i64 @finish(ptr %result) nounwind {
  %raised = icmp eq ptr %result, null
  br i1 %raised, label %keep, label %drop
keep:
  call void @keep_exception()
  ret i64 1
drop:
  call void @Py_DecRef(ptr %result)
  ret i64 0
}

define internal void @keep_exception() nounwind {
  %type_at = alloca ptr, align 8
  %value_at = alloca ptr, align 8
  %traceback_at = alloca ptr, align 8
  call void @PyErr_Fetch(ptr %type_at, ptr %value_at, ptr %traceback_at)
  call void @PyErr_NormalizeException(ptr %type_at, ptr %value_at, ptr %traceback_at)
  %type = load ptr, ptr %type_at
  %value = load ptr, ptr %value_at
  %traceback = load ptr, ptr %traceback_at
  %has_traceback = icmp ne ptr %traceback, null
  br i1 %has_traceback, label %attach, label %keep
attach:
  %attached = call i32 @PyException_SetTraceback(ptr %value, ptr %traceback)
  br label %keep
keep:
  %dictionary = call ptr @PyThreadState_GetDict()
  %kept = call i32 @PyDict_SetItemString(ptr %dictionary, ptr @key, ptr %value)
  call void @PyErr_Clear()
  call void @Py_DecRef(ptr %type)
  call void @Py_DecRef(ptr %value)
  call void @Py_DecRef(ptr %traceback)
  ret void
}
"""

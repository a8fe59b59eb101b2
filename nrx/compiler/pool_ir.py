"""The thread pool in LLVM IR: `parfor`, the loop of a worker, and how threads sleep on each operating system.

A job is open or closed. The caller opens it, claims chunks of tasks like everybody else, closes it when there are none
left and waits for the workers that have joined. A worker that comes late finds the job closed and has nothing to do
with it, so nobody waits for a thread that the system has not run yet.

The state is one 64-bit word: the number of the job in the high half, on which idle workers sleep; in the low half
whether it is closed (bit 31) and how many workers are in it.
"""

import ctypes
from collections.abc import Iterator
from typing import Any

from nrx.compiler.targets import Target

SYSTEM_SYMBOLS: dict[str, dict[str, str | None]] = {
    "linux": {"syscall": None, "sched_getcpu": None},
    "macos": {"__ulock_wait": None, "__ulock_wake": None},
    "windows": dict.fromkeys(("WaitOnAddress", "WakeByAddressSingle", "WakeByAddressAll"), "kernelbase"),
}
"""What the text below calls of the operating system, and in which library it is; None: in the C library."""

_LINE = 64


def _on_lines(*lines: list[str]) -> Iterator[tuple[str, Any]]:
    """64-bit fields, on cache lines of their own: what one thread writes does not take from another what that reads."""
    for number, names in enumerate(lines):
        yield from ((name, ctypes.c_int64) for name in names)
        yield f"_{number}", ctypes.c_char * (_LINE - 8 * len(names))


class PoolMemory(ctypes.Structure):
    """What threads share.

    Fields:
        state: see above.
        next: the first task that nobody has claimed.
        function, args, tasks, grain: the job.
        excluded: the processor that the caller runs on, whose own worker stays out; -1 for none.
        float_mode: the caller's rounding mode and treatment of subnormal numbers, which the workers take over.
        threads: how many threads may work on a job, the caller included.
        started: whether the workers have been started.
        spin: ticks that a thread looks around for before it sleeps.
        sleepers: how many workers sleep.
        lock: 1 while there is a job.
        waiting: 1 while the caller sleeps until the workers are done.
        stop: 1 tells the workers to return.
        forks: how often this process is the child of a fork since the pool was made.
        poll_period: ticks from one call of `poll` to the next.
    """

    _fields_ = tuple(_on_lines(
        ["state"], ["next"],
        ["function", "args", "tasks", "grain", "excluded", "float_mode"],
        ["threads", "started", "spin", "poll_period", "forks"],
        ["sleepers"], ["lock", "waiting"], ["stop"],
    ))  # fmt: skip


def pool_text(target: Target) -> str:
    """LLVM IR of

        i64 parfor(ptr pool, ptr function, ptr args, i64 tasks, i64 grain, ptr watch)
        i64 look(ptr pool, ptr watch, i64 thread)      what long tasks call from time to time; not 0: they should end
        void worker(ptr pool, i64 cpu)        cpu: where the thread is pinned, -1 for nowhere
        void stop(ptr pool)

    `watch` is what the caller and its workers know of signals: the status, and the ticks at which poll was last called.
    It calls poll and start_workers of `python_ir.python_text`, and belongs into one module with it.
    """
    fields = {f"@{name}@": f"i64 {getattr(PoolMemory, name).offset}" for name, *_ in PoolMemory._fields_}
    text = _POOL + _SLEEP[target.system] + (_X86 if target.is_x86 else _ARM)
    for mark, offset in fields.items():
        text = text.replace(mark, offset)
    return text.replace("@futex@", "202" if target.is_x86 else "98")


_POOL = """
declare i64 @llvm.readcyclecounter()

define i64 @parfor(ptr %pool, ptr %function, ptr %args, i64 %tasks, i64 %grain, ptr %watch) nounwind {
start:
  %own_next = alloca i64, align 8
  %one_chunk = icmp sle i64 %tasks, %grain
  br i1 %one_chunk, label %directly, label %maybe
directly:
  call void %function(ptr %args, i64 0, i64 %tasks, i64 0)
  %direct_status = load i64, ptr %watch
  ret i64 %direct_status
maybe:
  %threads_at = getelementptr i8, ptr %pool, @threads@
  %threads = load atomic i64, ptr %threads_at monotonic, align 8
  %several = icmp sgt i64 %threads, 1
  br i1 %several, label %try, label %alone
try:
  %lock = getelementptr i8, ptr %pool, @lock@
  %exchanged = cmpxchg ptr %lock, i64 0, i64 1 acquire monotonic
  %locked = extractvalue { i64, i1 } %exchanged, 1
  br i1 %locked, label %prepare, label %alone
alone:
  store i64 0, ptr %own_next
  %alone_status = call i64 @chunks(ptr %pool, ptr %own_next, ptr %function, ptr %args, i64 %tasks, i64 %grain, i64 0,
                                   ptr %watch)
  ret i64 %alone_status
prepare:
  %started_at = getelementptr i8, ptr %pool, @started@
  %started = load i64, ptr %started_at
  %is_started = icmp ne i64 %started, 0
  br i1 %is_started, label %open, label %first
first:
  %start_status = call i64 @start_workers()
  %is_up = icmp eq i64 %start_status, 0
  br i1 %is_up, label %open, label %give_up
give_up:
  store atomic i64 0, ptr %lock release, align 8
  ret i64 %start_status
open:
  %function_at = getelementptr i8, ptr %pool, @function@
  %args_at = getelementptr i8, ptr %pool, @args@
  %tasks_at = getelementptr i8, ptr %pool, @tasks@
  %grain_at = getelementptr i8, ptr %pool, @grain@
  %next = getelementptr i8, ptr %pool, @next@
  %excluded_at = getelementptr i8, ptr %pool, @excluded@
  store ptr %function, ptr %function_at
  store ptr %args, ptr %args_at
  store i64 %tasks, ptr %tasks_at
  store i64 %grain, ptr %grain_at
  store atomic i64 0, ptr %next monotonic, align 8
  %float_mode_at = getelementptr i8, ptr %pool, @float_mode@
  %float_mode = call i64 @get_float_mode()
  store i64 %float_mode, ptr %float_mode_at
  %forks_at = getelementptr i8, ptr %pool, @forks@
  %forks = load atomic i64, ptr %forks_at monotonic, align 8
  %cpu = call i64 @current_cpu()
  store i64 %cpu, ptr %excluded_at
  %before = load atomic i64, ptr %pool monotonic, align 8
  %number = lshr i64 %before, 32
  %following = add i64 %number, 1
  %opened = shl i64 %following, 32
  store atomic i64 %opened, ptr %pool seq_cst, align 8
  %sleepers_at = getelementptr i8, ptr %pool, @sleepers@
  %sleepers = load atomic i64, ptr %sleepers_at seq_cst, align 8
  %anybody = icmp sgt i64 %sleepers, 0
  br i1 %anybody, label %wake, label %work
wake:
  %rounded = add i64 %tasks, %grain
  %rounded_down = sub i64 %rounded, 1
  %all_chunks = sdiv i64 %rounded_down, %grain
  %enough = icmp slt i64 %all_chunks, %threads
  %workers = select i1 %enough, i64 %all_chunks, i64 %threads
  %others = sub i64 %workers, 1
  call void @wake_workers(ptr %pool, i64 %others, i64 %cpu)
  br label %work
work:
  %status = call i64 @chunks(ptr %pool, ptr %next, ptr %function, ptr %args, i64 %tasks, i64 %grain, i64 0, ptr %watch)
  %closing = atomicrmw or ptr %pool, i64 2147483648 seq_cst
  %last_status = call i64 @wait_for_workers(ptr %pool, i64 %status, ptr %watch)
  %forks_after = load atomic i64, ptr %forks_at monotonic, align 8
  %forked = icmp ne i64 %forks, %forks_after
  %end_status = select i1 %forked, i64 2, i64 %last_status ; what the workers had begun is undone in the child
  store atomic i64 0, ptr %lock release, align 8
  ret i64 %end_status
}

; Claims chunks until there are none. In between the caller, thread 0, looks for signals, and a worker whether to stop.
define internal i64 @chunks(ptr %pool, ptr %next, ptr %function, ptr %args, i64 %tasks, i64 %grain, i64 %thread,
                            ptr %watch) nounwind {
start:
  %stop_at = getelementptr i8, ptr %pool, @stop@
  %is_caller = icmp eq i64 %thread, 0
  br label %claim
claim:
  %first = atomicrmw add ptr %next, i64 %grain monotonic
  %any = icmp slt i64 %first, %tasks
  br i1 %any, label %run, label %done
run:
  %end = add i64 %first, %grain
  %whole = icmp slt i64 %end, %tasks
  %last = select i1 %whole, i64 %end, i64 %tasks
  call void %function(ptr %args, i64 %first, i64 %last, i64 %thread)
  br i1 %is_caller, label %look, label %listen
listen:
  %stop = load atomic i64, ptr %stop_at monotonic, align 8
  %stopped = icmp ne i64 %stop, 0
  br i1 %stopped, label %done, label %claim
look:
  %status = call i64 @look(ptr %pool, ptr %watch, i64 0)
  %fine = icmp eq i64 %status, 0
  br i1 %fine, label %claim, label %abandon
abandon:
  store atomic i64 %tasks, ptr %next monotonic, align 8
  ret i64 %status
done:
  ret i64 0
}

; The status. The caller, thread 0, asks Python for it many times a second; the others see what it has been told.
define i64 @look(ptr %pool, ptr %watch, i64 %thread) nounwind {
start:
  %known = load atomic i64, ptr %watch monotonic, align 8
  %is_fine = icmp eq i64 %known, 0
  %is_caller = icmp eq i64 %thread, 0
  %may_ask = and i1 %is_fine, %is_caller
  br i1 %may_ask, label %consider, label %tell
tell:
  ret i64 %known
consider:
  %period_at = getelementptr i8, ptr %pool, @poll_period@
  %polled = getelementptr i8, ptr %watch, i64 8
  %now = call i64 @llvm.readcyclecounter()
  %then = load i64, ptr %polled
  %period = load i64, ptr %period_at
  %elapsed = sub i64 %now, %then
  %due = icmp ugt i64 %elapsed, %period
  br i1 %due, label %ask, label %later
ask:
  %status = call i64 @poll()
  %after = call i64 @llvm.readcyclecounter()
  store i64 %after, ptr %polled
  store atomic i64 %status, ptr %watch monotonic, align 8
  ret i64 %status
later:
  ret i64 0
}

; Returns when no worker is in the job: the status, or that of a signal that came meanwhile.
define internal i64 @wait_for_workers(ptr %pool, i64 %status, ptr %watch) nounwind {
start:
  %spin_at = getelementptr i8, ptr %pool, @spin@
  %waiting = getelementptr i8, ptr %pool, @waiting@
  %spin = load i64, ptr %spin_at
  %since = call i64 @llvm.readcyclecounter()
  br label %look
look:
  %known = phi i64 [ %status, %start ], [ %known, %pause ], [ %newer, %sleep ]
  %state = load atomic i64, ptr %pool acquire, align 8
  %inside = and i64 %state, 2147483647
  %empty = icmp eq i64 %inside, 0
  br i1 %empty, label %done, label %busy
busy:
  %now = call i64 @llvm.readcyclecounter()
  %elapsed = sub i64 %now, %since
  %soon = icmp ult i64 %elapsed, %spin
  br i1 %soon, label %pause, label %sleep
pause:
  call void @pause()
  br label %look
sleep:
  store atomic i64 1, ptr %waiting seq_cst, align 8
  %low = trunc i64 %state to i32
  call void @sleep_briefly(ptr %pool, i32 %low)
  store atomic i64 0, ptr %waiting monotonic, align 8
  %new_status = call i64 @look(ptr %pool, ptr %watch, i64 0)
  %was_fine = icmp eq i64 %known, 0
  %newer = select i1 %was_fine, i64 %new_status, i64 %known
  br label %look
done:
  ret i64 %known
}

define void @worker(ptr %pool, i64 %cpu) nounwind {
start:
  %number_at = getelementptr i8, ptr %pool, i64 4
  %next = getelementptr i8, ptr %pool, @next@
  %function_at = getelementptr i8, ptr %pool, @function@
  %args_at = getelementptr i8, ptr %pool, @args@
  %tasks_at = getelementptr i8, ptr %pool, @tasks@
  %grain_at = getelementptr i8, ptr %pool, @grain@
  %excluded_at = getelementptr i8, ptr %pool, @excluded@
  %float_mode_at = getelementptr i8, ptr %pool, @float_mode@
  %threads_at = getelementptr i8, ptr %pool, @threads@
  %spin_at = getelementptr i8, ptr %pool, @spin@
  %sleepers = getelementptr i8, ptr %pool, @sleepers@
  %waiting_at = getelementptr i8, ptr %pool, @waiting@
  %stop_at = getelementptr i8, ptr %pool, @stop@
  %pinned = icmp sge i64 %cpu, 0
  br label %idle
idle:
  %seen = phi i32 [ 0, %start ], [ %number, %skip ], [ %number, %leave ], [ %seen, %sleep ]
  %spin = load i64, ptr %spin_at
  %since = call i64 @llvm.readcyclecounter()
  br label %look
look:
  %stop = load atomic i64, ptr %stop_at acquire, align 8
  %state = load atomic i64, ptr %pool acquire, align 8
  %high = lshr i64 %state, 32
  %number = trunc i64 %high to i32
  %stopped = icmp ne i64 %stop, 0
  br i1 %stopped, label %return, label %compare
return:
  ret void
compare:
  %is_new = icmp ne i32 %number, %seen
  br i1 %is_new, label %consider, label %nothing
nothing:
  %now = call i64 @llvm.readcyclecounter()
  %elapsed = sub i64 %now, %since
  %soon = icmp ult i64 %elapsed, %spin
  br i1 %soon, label %pause, label %sleep
pause:
  call void @pause()
  br label %look
sleep:
  %more = atomicrmw add ptr %sleepers, i64 1 seq_cst
  call void @sleep(ptr %number_at, i32 %seen, i64 %cpu)
  %less = atomicrmw sub ptr %sleepers, i64 1 seq_cst
  br label %idle
consider:
  %low = trunc i64 %state to i32
  %closed = icmp slt i32 %low, 0
  %excluded = load atomic i64, ptr %excluded_at monotonic, align 8
  %is_excluded = icmp eq i64 %excluded, %cpu
  %stays_out = and i1 %pinned, %is_excluded
  %inside = and i64 %state, 2147483647
  %thread = add i64 %inside, 1
  %threads = load atomic i64, ptr %threads_at monotonic, align 8
  %full = icmp sge i64 %thread, %threads
  %no.0 = or i1 %closed, %stays_out
  %no = or i1 %no.0, %full
  br i1 %no, label %skip, label %join
skip:
  br label %idle
join:
  %joining = add i64 %state, 1
  %exchanged = cmpxchg ptr %pool, i64 %state, i64 %joining seq_cst monotonic
  %joined = extractvalue { i64, i1 } %exchanged, 1
  br i1 %joined, label %work, label %look
work:
  %function = load ptr, ptr %function_at
  %args = load ptr, ptr %args_at
  %tasks = load i64, ptr %tasks_at
  %grain = load i64, ptr %grain_at
  %float_mode = load i64, ptr %float_mode_at
  call void @set_float_mode(i64 %float_mode)
  %zero = call i64 @chunks(ptr %pool, ptr %next, ptr %function, ptr %args, i64 %tasks, i64 %grain,
                          i64 %thread, ptr null)
  %left = atomicrmw sub ptr %pool, i64 1 seq_cst
  %left_low = trunc i64 %left to i32
  %was_last = icmp eq i32 %left_low, -2147483647
  br i1 %was_last, label %last, label %leave
last:
  %waiting = load atomic i64, ptr %waiting_at seq_cst, align 8
  %is_waited_for = icmp ne i64 %waiting, 0
  br i1 %is_waited_for, label %report, label %leave
report:
  call void @wake_caller(ptr %pool)
  br label %leave
leave:
  br label %idle
}

define void @stop(ptr %pool) nounwind {
  %stop_at = getelementptr i8, ptr %pool, @stop@
  store atomic i64 1, ptr %stop_at seq_cst, align 8
  %before = atomicrmw add ptr %pool, i64 4294967296 seq_cst
  call void @wake_workers(ptr %pool, i64 2147483647, i64 -1)
  ret void
}
"""

_X86 = """
declare void @llvm.x86.sse2.pause()

define internal void @pause() nounwind alwaysinline {
  call void @llvm.x86.sse2.pause()
  ret void
}

define i64 @ticks_per_second() nounwind {
  ret i64 2500000000 ; the order of magnitude is enough
}

declare void @llvm.x86.sse.stmxcsr(ptr)
declare void @llvm.x86.sse.ldmxcsr(ptr)

define internal i64 @get_float_mode() nounwind {
  %register = alloca i32, align 4
  call void @llvm.x86.sse.stmxcsr(ptr %register)
  %mode = load i32, ptr %register
  %wide = zext i32 %mode to i64
  ret i64 %wide
}

define internal void @set_float_mode(i64 %mode) nounwind {
  %register = alloca i32, align 4
  %narrow = trunc i64 %mode to i32
  store i32 %narrow, ptr %register
  call void @llvm.x86.sse.ldmxcsr(ptr %register)
  ret void
}
"""

_ARM = """
declare void @llvm.aarch64.hint(i32)

define internal void @pause() nounwind alwaysinline {
  call void @llvm.aarch64.hint(i32 1)
  ret void
}

declare i64 @llvm.read_register.i64(metadata)
declare i64 @llvm.aarch64.get.fpcr()
declare void @llvm.aarch64.set.fpcr(i64)

define internal i64 @get_float_mode() nounwind {
  %mode = call i64 @llvm.aarch64.get.fpcr()
  ret i64 %mode
}

define internal void @set_float_mode(i64 %mode) nounwind {
  call void @llvm.aarch64.set.fpcr(i64 %mode)
  ret void
}

define i64 @ticks_per_second() nounwind {
  %frequency = call i64 @llvm.read_register.i64(metadata !0)
  ret i64 %frequency
}

!0 = !{!"cntfrq_el0"}
"""

# sleep: a worker, until the number of the job is not the one seen any more. sleep_briefly: the caller, until the low
# half of the state changes or 50 ms are over, so that it sees signals.
_SLEEP = {
    "linux": """
declare i64 @syscall(i64, ...)
declare i32 @sched_getcpu()

; A worker on processor c sleeps with bit c % 32, so that the caller can wake those on other processors than its own.
define internal void @sleep(ptr %number, i32 %seen, i64 %cpu) nounwind {
  %pinned = icmp sge i64 %cpu, 0
  %narrow = trunc i64 %cpu to i32
  %shift = and i32 %narrow, 31
  %bit = shl i32 1, %shift
  %bits = select i1 %pinned, i32 %bit, i32 -1
  %r = call i64 (i64, ...) @syscall(i64 @futex@, ptr %number, i32 137, i32 %seen, ptr null, ptr null, i32 %bits)
  ret void
}

define internal void @wake_workers(ptr %pool, i64 %count, i64 %cpu) nounwind {
  %number = getelementptr i8, ptr %pool, i64 4
  %known = icmp sge i64 %cpu, 0
  %narrow = trunc i64 %cpu to i32
  %shift = and i32 %narrow, 31
  %bit = shl i32 1, %shift
  %others = xor i32 %bit, -1
  %bits = select i1 %known, i32 %others, i32 -1
  %n = trunc i64 %count to i32
  %r = call i64 (i64, ...) @syscall(i64 @futex@, ptr %number, i32 138, i32 %n, ptr null, ptr null, i32 %bits)
  ret void
}

define internal void @sleep_briefly(ptr %pool, i32 %low) nounwind {
  %time = alloca { i64, i64 }, align 8
  store { i64, i64 } { i64 0, i64 50000000 }, ptr %time
  %r = call i64 (i64, ...) @syscall(i64 @futex@, ptr %pool, i32 128, i32 %low, ptr %time, ptr null, i32 0)
  ret void
}

define internal void @wake_caller(ptr %pool) nounwind {
  %r = call i64 (i64, ...) @syscall(i64 @futex@, ptr %pool, i32 129, i32 1, ptr null, ptr null, i32 0)
  ret void
}

define internal i64 @current_cpu() nounwind {
  %cpu = call i32 @sched_getcpu()
  %wide = sext i32 %cpu to i64
  ret i64 %wide
}
""",
    "macos": """
declare i32 @__ulock_wait(i32, ptr, i64, i32)
declare i32 @__ulock_wake(i32, ptr, i64)

define internal void @sleep(ptr %number, i32 %seen, i64 %cpu) nounwind {
  %expected = zext i32 %seen to i64
  %r = call i32 @__ulock_wait(i32 1, ptr %number, i64 %expected, i32 0)
  ret void
}

define internal void @wake_workers(ptr %pool, i64 %count, i64 %cpu) nounwind {
  %number = getelementptr i8, ptr %pool, i64 4
  %r = call i32 @__ulock_wake(i32 257, ptr %number, i64 0)
  ret void
}

define internal void @sleep_briefly(ptr %pool, i32 %low) nounwind {
  %expected = zext i32 %low to i64
  %r = call i32 @__ulock_wait(i32 1, ptr %pool, i64 %expected, i32 50000)
  ret void
}

define internal void @wake_caller(ptr %pool) nounwind {
  %r = call i32 @__ulock_wake(i32 1, ptr %pool, i64 0)
  ret void
}

define internal i64 @current_cpu() nounwind {
  ret i64 -1
}
""",
    "windows": """
declare i32 @WaitOnAddress(ptr, ptr, i64, i32)
declare void @WakeByAddressSingle(ptr)
declare void @WakeByAddressAll(ptr)

define internal void @sleep(ptr %number, i32 %seen, i64 %cpu) nounwind {
  %expected = alloca i32, align 4
  store i32 %seen, ptr %expected
  %r = call i32 @WaitOnAddress(ptr %number, ptr %expected, i64 4, i32 -1)
  ret void
}

define internal void @wake_workers(ptr %pool, i64 %count, i64 %cpu) nounwind {
  %number = getelementptr i8, ptr %pool, i64 4
  call void @WakeByAddressAll(ptr %number)
  ret void
}

define internal void @sleep_briefly(ptr %pool, i32 %low) nounwind {
  %expected = alloca i32, align 4
  store i32 %low, ptr %expected
  %r = call i32 @WaitOnAddress(ptr %pool, ptr %expected, i64 4, i32 50)
  ret void
}

define internal void @wake_caller(ptr %pool) nounwind {
  call void @WakeByAddressSingle(ptr %pool)
  ret void
}

define internal i64 @current_cpu() nounwind {
  ret i64 -1
}
""",
}

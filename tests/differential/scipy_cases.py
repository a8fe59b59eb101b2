"""Cases of the modules of `scipy`, and of `ops`."""

from differential.base import Table, table

SPECIAL = table(
    ("erf erfc erfinv dawsn expit log_ndtr ndtr i0 i0e i1 i1e erfcx entr fresnel", "u", "a"),
    ("expit erf gammaln", "j"),
    ("gamma gammaln gammasgn loggamma digamma exp1 expi spence sici factorial", "b"),
    ("gamma gammasgn", "a"),
    ("logit ndtri", "abs(u)"),
    ("xlogy xlog1py beta betaln kl_div rel_entr boxcox boxcox1p poch owens_t", "b, b + 0.5"),
    ("xlogy", "xp.zeros(3), xp.zeros(3)", "i, j"),
    ("comb", "j, i % 4", "b + 4, b"),
    ("gammainc gammaincc", "b, b * 2"),
    ("betainc", "b, b + 1, abs(u)"),
    ("zeta", "b + 1, b"),
    ("polygamma", "j, b", "1, b"),
    ("multigammaln", "b + 3, 3"),
    ("expn", "2, b", "j, b"),
    ("bernoulli", "6"),
    ("bessel_jn", "b, v=3"),
    ("hyp1f1", "b, b + 0.5, a"),
    ("hyp2f1", "b, b + 0.5, b + 1.2, u * 0.5"),
    ("sph_harm_y", "xp.array([2, 3, 0]), xp.array([1, -2, 0]), r[:3], r[:3] * 2, n_max=3"),
    ("wofz", "z"),
    ("softmax log_softmax", "a", "a, axis=0"),
    ("logsumexp", "a", "a, axis=1, b=b, keepdims=True", "a, b=u, return_sign=True"),
)  # fmt: skip

LINALG = table(
    ("block_diag", "a, m", "v, s", "i, j"),
    ("cho_factor", "f(p + p.T)[0] * xp.triu(xp.ones((4, 4)))"),
    ("cho_solve", "(xp.linalg.cholesky(p), True), v"),
    ("cholesky", "p + p.T", "p + p.T, lower=True", "c @ xp.conj(c.T)"),
    ("circulant companion", "v", "n[:3] + 1"),
    ("convolution_matrix", "v, 3", "a, 2, mode='valid'"),
    ("det inv", "m", "c"),
    ("dft", "4", "3, scale='sqrtn'"),
    ("eigh", "f(p + p.T)[0]", "abs(f(p + p.T)[1])", "p + p.T, eigvals_only=True"),
    ("eigh_tridiagonal", "v, w[:3], eigvals_only=True"),
    ("expm", "m * 0.3", "c * 0.3", "xp.triu(m), upper_triangular=True"),
    ("expm_frechet", "m * 0.3, p"),
    ("fiedler fiedler_companion", "v"),
    ("funm", "f(p, xp.exp)"),
    ("hadamard", "4"),
    ("hankel toeplitz", "v", "v, w", "n"),
    ("hessenberg", "m", "m, calc_q=True"),
    ("hilbert invhilbert helmert", "4"),
    ("leslie", "v, w[:3]"),
    ("lu", "m", "a", "m, permute_l=True", "c"),
    ("lu_factor", "m", "c"),
    ("lu_solve", "(m, np.array([0, 2, 2, 3], 'int32')), v", "(m, np.array([0, 2, 2, 3], 'int32')), v, trans=1"),
    ("pascal invpascal", "4", "3, kind='lower'"),
    ("polar", "m", "a.T"),
    ("qr", "m", "a, mode='economic'", "m, mode='r'", "m, pivoting=True"),
    ("qr_multiply", "m, v", "a.T, v[:3], mode='left'"),
    ("rsf2csf", "xp.triu(m), xp.eye(4)"),
    ("schur", "xp.diag(f(p)[0])", "abs(f(p)[1])"),
    ("solve", "m, v", "p + p.T, k[0], assume_a='pos'", "c, v", "p + p.T, v, lower=True, assume_a='pos'"),
    ("solve_sylvester", "m, p, xp.ones((4, 4))"),
    ("solve_triangular", "m, v", "m, v, lower=True", "m, v, trans=1", "c, v, trans='C', unit_diagonal=True"),
    ("sqrtm", "p"),
    ("svd", "f(a, full_matrices=False)[1]", "a, compute_uv=False"),
)  # fmt: skip

_WHERE = {  # where a density is smooth, and its parameters
    "norm": "a, 0.3, 1.5", "logistic": "a, 0.3, 1.5", "laplace": "a, 0.3, 1.5", "cauchy": "a, 0.3, 1.5",
    "gumbel_l": "a, 0.3, 1.5", "gumbel_r": "a, 0.3, 1.5", "t": "a, 2.5, 0.3, 1.5", "expon": "b, 0.1, 1.5",
    "gamma": "b, 2.5, 0.1, 1.5", "chi2": "b, 2.5, 0.1, 1.5", "pareto": "b + 1, 2.5, 0.1, 1.2",
    "uniform": "abs(u), 0.0, 1.0",
    "beta": "abs(u), 2.5, 1.5", "truncnorm": "u, -1.5, 2.0, 0.1, 1.2", "gennorm": "a, 2.5", "wrapcauchy": "b, 0.4",
    "vonmises": "a, 1.5",
    "bernoulli": "i % 2, 0.3", "binom": "j, 8, 0.3", "geom": "j, 0.3", "poisson": "j, 2.5", "nbinom": "j, 4, 0.3",
    "betabinom": "j, 8, 2.5, 1.5",
}  # fmt: skip
_PARAMETERS = {name: case.partition(", ")[2] for name, case in _WHERE.items()}


def _distribution(name: str) -> Table:
    """Every function of a distribution that JAX may have."""
    case, rest = _WHERE[name], _PARAMETERS[name]
    values = table(("pdf logpdf pmf logpmf cdf logcdf sf logsf entropy", case))
    return {**values, "ppf": [f"abs(u), {rest}"], "isf": [f"abs(u), {rest}"], "entropy": [rest]}


_DISTRIBUTIONS = {f"scipy.stats.{name}": _distribution(name) for name in _WHERE} | {
    "scipy.stats.dirichlet": table(("pdf logpdf", "r / r.sum(), b[0, :1] + r", "r / r.sum(), r + 1")),
    "scipy.stats.multinomial": table(("pmf logpmf", "np.array([1, 2, 0, 1, 1]), 5, r / r.sum()")),
    "scipy.stats.multivariate_normal": table(("pdf logpdf", "v, w, p", "a, w, p", "a, w, 2.0")),
}
STATS = table(
    ("mode", "n", "a", "i, axis=1, keepdims=True", "i, axis=None"),
    ("rankdata", "v", "n", "a, axis=1", "n, method='dense'", "n, method='min'", "n, method='ordinal'"),
    ("sem", "a", "a, axis=1, ddof=0", "a, axis=None", "a, axis=1, keepdims=True"),
    ("gaussian_kde", "f(v)(r)", "f(t[0])(a)", "f(v, bw_method=0.5).logpdf(r)", "f(v, weights=b[0]).evaluate(r)"),
)  # fmt: skip

_GRID = "(xp.arange(3.0), xp.arange(3.0)), a[:, :3]"
_OTHERS = {
    "ops": table(
        ("segment_sum segment_prod segment_max segment_min", "v, n[:4]", "a, n[:3], num_segments=5", "i, n[:3], 4",
         "a, xp.sort(n)[:3], 4, indices_are_sorted=True", "v, n[:4], 2"),
    ),
    "scipy.ndimage": table(
        ("map_coordinates", "a, [v + 1, w + 1], 1", "a, [v + 1, w + 1], 0", "a, [v * 2, w * 2], 1, 'nearest'",
         "a, [v * 2, w * 2], 1, 'wrap'", "a, [v * 2, w * 2], 1, 'mirror'", "a, [v * 2, w * 2], 1, 'reflect'",
         "a, [v, w], 1, cval=2.5"),
    ),
    "scipy.fft": table(
        ("dct idct", "a", "a, axis=0", "v, norm='ortho'", "a, n=6"),
        ("dctn idctn", "a", "a, axes=(1,)", "a, norm='ortho'"),
    ),
    "scipy.signal": table(
        ("convolve correlate", "v, r", "a, b", "v, r, mode='same'", "v, r, mode='valid'"),
        ("fftconvolve", "v, r", "a, b, mode='same'", "a, b, axes=1"),
        ("convolve2d correlate2d", "m, a[:2, :3]", "m, a[:2, :3], mode='same'", "m, a[:2, :3], mode='valid'"),
        ("detrend", "a", "a, axis=0", "a, type='constant'"),
        ("welch", "xp.tile(v, 8), nperseg=16"),
        ("csd", "xp.tile(v, 8), xp.tile(w, 8), nperseg=16"),
        ("stft", "xp.tile(v, 8), nperseg=16"),
        ("istft", "f(xp.tile(z, (3, 1)).T[:, :9].repeat(3, axis=0)[:9], nperseg=16)"),
    ),
    "scipy.integrate": table(("trapezoid", "a", "a, b[0]", "a, dx=0.5, axis=0")),
    "scipy.interpolate": table(
        ("RegularGridInterpolator", f"f({_GRID})(b[:, :2])", f"f({_GRID}, method='nearest')(b[:, :2])",
         f"f({_GRID}, fill_value=None)(a[:, :2])", f"f({_GRID}, fill_value=0.5)(a[:, :2])"),
    ),
    "scipy.cluster.vq": table(("vq", "a, b", "v, w")),
    "scipy.optimize": table(
        ("minimize", "f(lambda q: xp.sum((q - v) ** 2), w, method='BFGS').x",
         "f(lambda q, r: xp.sum((q - r) ** 4), w, (v,), method='BFGS', options={'maxiter': 3}).nit"),
        ("OptimizeResults", "list(f._fields)"),
    ),
    "scipy.sparse.linalg": table(
        ("cg", "f(p, v)[0]", "f(lambda q: p @ q, v, x0=w)[0]", "f(p, v, maxiter=2)[0]"),
        ("bicgstab gmres", "f(p, v)[0]", "f(lambda q: {'a': p @ q['a']}, {'a': v})[0]"),
    ),
    "scipy.spatial.transform": table(
        ("Rotation", "f.from_quat(v).as_matrix()", "f.from_quat(a).as_euler('xyz')", "f.from_quat(a).as_rotvec()",
         "f.from_rotvec(a[:, :3]).as_quat()", "f.from_euler('zyx', a[:, :3]).apply(b[:, :3])",
         "f.from_euler('x', s, degrees=True).as_matrix()", "f.from_matrix(f.from_quat(a).as_matrix()).as_mrp()",
         "(f.from_quat(v) * f.from_mrp(w[:3])).as_quat()", "f.from_quat(v).inv().apply(w[:3], inverse=True)",
         "f.from_quat(a).magnitude()", "f.identity().as_quat()", "f.from_quat(a).mean().as_matrix()"),
        ("Slerp", "f.init(xp.arange(3.0), library.scipy.spatial.transform.Rotation.from_quat(a))(r * 2).as_quat()"),
    ),
}  # fmt: skip

SCIPY: dict[str, Table] = {
    **_OTHERS, "scipy.special": SPECIAL, "scipy.linalg": LINALG, "scipy.stats": STATS, **_DISTRIBUTIONS,
}  # fmt: skip

"""The ATen operations that the cases use, in JAX: OPS[name](*arguments, **keywords), each under PyTorch's signature.

Random ones take their key from the state `Run`, which also collects the running statistics that batch_norm makes.
"""
import jax
import jax.numpy as jnp
from jax import lax


class Run:
    """What one pass through a graph carries along: the random key, and new values of buffers by name."""

    def __init__(self, key):
        self.key, self.buffers = key, {}

    def next_key(self):
        self.key, k = jax.random.split(self.key)
        return k


def pair(x):
    x = [x] if isinstance(x, int) else list(x)
    return x * 2 if len(x) == 1 else x


def conv2d(run, x, w, b=None, stride=1, padding=0):
    pads = [(p, p) for p in pair(padding)]
    y = lax.conv_general_dilated(x, w, pair(stride), pads, dimension_numbers=("NCHW", "OIHW", "NCHW"))
    return y if b is None else y + b[:, None, None]


def window(x, kernel, stride, padding, start, reduce):
    kernel, stride = list(kernel), list(stride or kernel)
    lead = x.ndim - len(kernel)
    padding = list(padding) if not isinstance(padding, int) else [padding] * len(kernel)
    pads = [(0, 0)] * lead + [(p, p) for p in padding]
    return lax.reduce_window(x, start, reduce, (1,) * lead + tuple(kernel), (1,) * lead + tuple(stride), pads)


def max_pool2d(run, x, kernel, stride=None, padding=0):
    return window(x, pair(kernel), stride and pair(stride), pair(padding), -jnp.inf, lax.max)


def avg_pool(run, x, kernel, stride=None):
    size = 1
    for k in kernel:
        size *= k
    return window(x, kernel, stride, 0, 0.0, lax.add) / size


def adaptive_avg_pool2d(run, x, out):
    n, c, h, w = x.shape
    return x.reshape(n, c, out[0], h // out[0], out[1], w // out[1]).mean((3, 5))


def batch_norm(run, x, scale, shift, mean, var, training, momentum, eps, _):
    column = (slice(None), None, None)
    if training:
        names, axes, count = (mean, var), (0, 2, 3), x.size / x.shape[1]
        old_mean, old_var = names[0].value, names[1].value
        mean, var = x.mean(axes), x.var(axes)
        run.buffers[names[0].name] = (1 - momentum) * old_mean + momentum * mean
        run.buffers[names[1].name] = (1 - momentum) * old_var + momentum * var * count / (count - 1)
    else:
        mean, var = mean.value, var.value
    factor = scale * lax.rsqrt(var + eps)
    return (x - mean[column]) * factor[column] + shift[column]


def cross_entropy(run, logits, label):
    rows = jnp.arange(logits.shape[0])
    return -jax.nn.log_softmax(logits)[rows, label].mean()


def dropout(run, x, p, training):
    return jnp.where(jax.random.bernoulli(run.next_key(), 1 - p, x.shape), x / (1 - p), 0) if training else x


def cut(run, x, dim, start, end):
    size = x.shape[dim]
    place = lambda i: max(0, i + size if i < 0 else min(i, size))
    return lax.slice_in_dim(x, place(start), place(end), axis=dim)


def expand(run, x, shape):
    return jnp.broadcast_to(x, [d if s == -1 else s for s, d in zip(shape, x.shape)])


OPS = {
    "conv2d.default": conv2d,
    "max_pool2d.default": max_pool2d,
    "avg_pool2d.default": avg_pool,
    "avg_pool1d.default": avg_pool,
    "adaptive_avg_pool2d.default": adaptive_avg_pool2d,
    "batch_norm.default": batch_norm,
    "cross_entropy_loss.default": cross_entropy,
    "dropout.default": dropout,
    "slice.Tensor": cut,
    "expand.default": expand,
    "linear.default": lambda run, x, w, b: x @ w.T + b,
    "matmul.default": lambda run, a, b: a @ b,
    "relu.default": lambda run, x: jax.nn.relu(x),
    "sigmoid.default": lambda run, x: jax.nn.sigmoid(x),
    "softmax.int": lambda run, x, dim: jax.nn.softmax(x, dim),
    "add.Tensor": lambda run, a, b: a + b,
    "sub.Tensor": lambda run, a, b: a - b,
    "mul.Tensor": lambda run, a, b: a * b,
    "div.Tensor": lambda run, a, b: a / b,
    "pow.Tensor_Scalar": lambda run, a, b: a**b,
    "lt.Scalar": lambda run, a, b: a < b,
    "rand_like.default": lambda run, x, **_: jax.random.uniform(run.next_key(), x.shape),
    "cat.default": lambda run, parts, dim=0: jnp.concatenate(parts, dim),
    "to.dtype": lambda run, x, _: x.astype(jnp.float32),
    "mean.dim": lambda run, x, dims: x.mean(tuple(dims)),
    "mean.default": lambda run, x: x.mean(),
    "sum.dim_IntList": lambda run, x, dims: x.sum(tuple(dims)),
    "mse_loss.default": lambda run, a, b: ((a - b) ** 2).mean(),
    "flatten.using_ints": lambda run, x, start: x.reshape(*x.shape[:start], -1),
    "transpose.int": lambda run, x, a, b: jnp.swapaxes(x, a, b),
    "numpy_T.default": lambda run, x: x.T,
    "select.int": lambda run, x, dim, i: lax.index_in_dim(x, i, dim, keepdims=False),
    "broadcast_tensors.default": lambda run, xs: jnp.broadcast_arrays(*xs),
}

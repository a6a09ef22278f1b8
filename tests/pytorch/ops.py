"""The op table in PyTorch: what each row of ir/ops.def computes there.

`EACH[row]` takes one sample of each operand, without the batch, and the node; `WHOLE[row]` takes all samples in
dimension 0, which is 1 for what is shared, and gives such a tensor back. `WITHOUT[row]` says why a row has no peer.
`node` holds the attributes, `n`, the number of samples, `training`, and `assigned`, where new statistics go.
"""
import torch
from torch import nn
from torch.nn import functional as F


class NoPeer(Exception):
    """PyTorch does not compute this."""


def transposed(f, like, dy):
    """The transpose of f, which is linear at dy, as a function of dy: any derivative of it can be taken."""
    x = like.detach().requires_grad_(True) if not like.requires_grad else like
    return torch.autograd.grad(f(x), x, dy, create_graph=True)[0]


def all_dims(x, dims):
    return tuple(range(x.dim())) if dims == "all" else tuple(dims)


def reduce(f):
    """PyTorch takes no dimensions as all of them."""
    return lambda x, dims, keep=False: f(x, dims, keep) if dims else f(x[None], (0,), False)


SUM, MEAN, MAX, MIN = map(reduce, (torch.sum, torch.mean, torch.amax, torch.amin))
VAR = reduce(lambda x, dims, keep: x.var(dims, unbiased=False, keepdim=keep))
UNBIASED = reduce(lambda x, dims, keep: x.var(dims, unbiased=True, keepdim=keep))


def over(f):
    """Of a reduce_ row: over dims of the sample and, with batch, the samples."""
    def whole(x, node):
        y = f(x, tuple(d + 1 for d in node.dims) + ((0,) if node.batch else ()))
        return y[None] if node.batch else y
    return whole


def moments(x, node):
    dims = tuple(d + 1 for d in node.dims) + ((0,) if node.batch else ())
    return dims, (VAR(x, dims, True) + node.eps).rsqrt()


def standardize(x, node):
    dims, scale = moments(x, node)
    return (x - MEAN(x, dims, True)) * scale


def inverse_deviation(x, node):
    _, scale = moments(x, node)
    return scale.reshape([scale.shape[0]] + [s for d, s in enumerate(x.shape[1:]) if d not in node.dims])


def broadcast(x, node):
    x = x.reshape(x.shape[:1] + (1,) * (len(node.shape) + 1 - x.dim()) + x.shape[1:])
    return x.expand(node.n if node.batched else -1, *node.shape)


def surround(x, node):
    inside = [slice(low, low + (d - 1) * (gap + 1) + 1, gap + 1) for d, low, gap in zip(x.shape, node.low, node.inner)]
    size = [s.stop + high for s, high in zip(inside, node.high)]
    y = torch.full(size, node.value, dtype=x.dtype)
    y[tuple(inside)] = x
    return y


def dot_general(a, b, node):
    """Letters: Z the samples, pairs from A and M, the others from a and m."""
    of_a, of_b = list("abcdefgh"[:a.dim() - 1]), list("mnopqrst"[:b.dim() - 1])
    for letter, i, j in zip("ABCDEFGH", node.batch_a, node.batch_b):
        of_a[i] = of_b[j] = letter
    for letter, i, j in zip("MNOPQRST", node.contract_a, node.contract_b):
        of_a[i] = of_b[j] = letter
    batch = "ABCDEFGH"[:len(node.batch_a)]
    kept = batch + "".join(c for c in of_a + of_b if c.islower())
    left = "" if node.sum_batch else "Z"
    y = torch.einsum(f"Z{''.join(of_a)},Z{''.join(of_b)}->{left}{kept}", a, b)
    return y[None] if node.sum_batch else y


def conv(x, weight, node):
    top, bottom, left, right = node.pads
    return F.conv2d(F.pad(x, (left, right, top, bottom)), weight, None, node.stride, 0, node.dilation, node.groups)


def conv_input(dy, weight, node):
    like = dy.new_zeros([weight.shape[1] * node.groups] + node.size)
    return transposed(lambda x: conv(x, weight, node), like, dy)


def conv_weight(x, dy, node):
    like = x.new_zeros([dy.shape[1], x.shape[1] // node.groups] + node.kernel)
    return transposed(lambda w: conv(x, w, node), like, dy)[None]


def put_rows(rows, index, node):
    inner = rows.shape[index.dim():]
    return rows.new_zeros([node.count, *inner]).index_add(0, index.flatten().long(), rows.reshape(-1, *inner))[None]


def max_pool2d(x, node, indices=False):
    return F.max_pool2d(x, node.kernel, node.stride, node.padding, node.dilation, node.ceil_mode, indices)


def adaptive_max_pool2d(x, node, indices=False):
    return F.adaptive_max_pool2d(x, node.out, indices)


def avg_pool2d(x, node):
    return F.avg_pool2d(x, node.kernel, node.stride, node.padding, node.ceil_mode, node.count_include_pad)


def adaptive_avg_pool2d_put(dy, node):
    """A mean along each axis: a matrix each, of the means of unit vectors."""
    h, w = (F.adaptive_avg_pool1d(torch.eye(size), out) for size, out in zip(node.size, dy.shape[1:]))
    return torch.einsum("hi,wj,cij->chw", h, w, dy)


def put(pool):
    def each(x, dy, node):
        _, at = pool(x, node, True)
        return torch.zeros_like(x).flatten(1).scatter_add(1, at.flatten(1), dy.flatten(1)).reshape(x.shape)
    return each


def take(pool):
    def each(x, v, node):
        y, at = pool(x, node, True)
        return v.flatten(1).gather(1, at.flatten(1)).reshape(y.shape)
    return each


def on_batch(f):
    """Of what PyTorch does to batches only."""
    return lambda x, *rest: f(x[None], *rest)[0]


def labelled(f, dim=None):
    """Classes where PyTorch has them: in dimension 1 of [samples, classes, positions...]."""
    def each(scores, label, node):
        scores = scores.movedim(-1 if dim is None else getattr(node, dim), 0)
        return f(scores[None].contiguous(), label[None].long(), node)
    return each


def top_k(scores, label, k):
    best = scores.sort(dim=1, descending=True, stable=True).indices[:, :k]
    return (best == label[:, None]).any(1).double().mean()


def between(f):
    return lambda a, b, node: f(*torch.broadcast_tensors(a, b), node)


def batch_norm(x, weight, bias, mean, var, node):
    of = [None if t is None else t[0] for t in (weight, bias)]
    mean, var = mean[0].detach().clone(), var[0].detach().clone()
    if node.training and x.numel() == x.shape[1]:  # PyTorch refuses one value a channel; its variance is 0
        raise NoPeer("batch_norm of one value a channel")
    y = F.batch_norm(x, mean, var, *of, node.training, node.momentum, node.eps)
    if node.training:
        node.assigned.update({node.operand[3].name: mean, node.operand[4].name: var})
    return y


def masked(in_evaluation):
    """On in training only, when PyTorch draws other numbers."""
    def each(x, node):
        if node.training:
            raise NoPeer("random numbers")
        return in_evaluation(x, node)
    return each


EACH = {
    # elementwise
    "add": lambda a, b, _: a + b, "sub": lambda a, b, _: a - b, "mul": lambda a, b, _: a * b,
    "div": lambda a, b, _: a / b, "neg": lambda x, _: -x, "exp": lambda x, _: x.exp(), "log": lambda x, _: x.log(),
    "sqrt": lambda x, _: x.sqrt(), "rsqrt": lambda x, _: x.rsqrt(), "abs": lambda x, _: x.abs(),
    "square": lambda x, _: x.square(), "sign": lambda x, _: x.sign(), "pow": lambda x, node: x ** node.exponent,
    "minimum": lambda a, b, _: torch.minimum(a, b), "maximum": lambda a, b, _: torch.maximum(a, b),
    "clamp": lambda x, node: x.clamp(node.lo, node.hi), "erf": lambda x, _: x.erf(), "expm1": lambda x, _: x.expm1(),
    "log1p": lambda x, _: x.log1p(), "positive": lambda x, _: (x > 0).double(),
    "less": lambda a, b, _: (a < b).double(), "less_equal": lambda a, b, _: (a <= b).double(),
    "equal": lambda a, b, _: (a == b).double(), "select": lambda c, a, b, _: torch.where(c != 0, a, b),
    "real": lambda x, _: x, "identity": lambda x, _: x, "detach": lambda x, _: x.detach(),
    # activation
    "relu": lambda x, _: F.relu(x), "sigmoid": lambda x, _: x.sigmoid(), "tanh": lambda x, _: x.tanh(),
    "relu6": lambda x, _: F.relu6(x), "leaky_relu": lambda x, node: F.leaky_relu(x, node.slope),
    "rrelu": masked(lambda x, node: F.rrelu(x, node.lower, node.upper)),
    "elu": lambda x, node: F.elu(x, node.alpha), "selu": lambda x, _: F.selu(x),
    "gelu": lambda x, node: F.gelu(x, approximate=node.approximate), "silu": lambda x, _: F.silu(x),
    "hard_sigmoid": lambda x, _: F.relu6(x + 3) / 6,  # hardsigmoid's derivative has 1/6 in f32
    "hard_swish": lambda x, _: F.hardswish(x), "softplus": lambda x, _: torch.logaddexp(x, torch.zeros_like(x)),
    "softmax": lambda x, node: F.softmax(x, node.dim), "log_softmax": lambda x, node: F.log_softmax(x, node.dim),
    # reduction
    "argmax": lambda x, node: x.argmax(node.dim).double(),
    "sum": lambda x, node: SUM(x, all_dims(x, node.dim), node.keepdim),
    "mean": lambda x, node: MEAN(x, all_dims(x, node.dim), node.keepdim),
    "max": lambda x, node: MAX(x, all_dims(x, node.dim), node.keepdim),
    "min": lambda x, node: MIN(x, all_dims(x, node.dim), node.keepdim),
    "var": lambda x, node: (UNBIASED if node.unbiased else VAR)(x, all_dims(x, node.dim), node.keepdim),
    # shape
    "reshape": lambda x, node: x.reshape(node.shape), "permute": lambda x, node: x.permute(node.order),
    "concat": lambda *xs: torch.cat(xs[:-1], xs[-1].dim), "flatten": lambda x, _: x.flatten(),
    "cut": lambda x, node: x[tuple(slice(a, a + (n - 1) * s + 1, s)
                                   for a, n, s in zip(node.start, node.size, node.step))],
    "surround": surround, "iota": lambda node: torch.arange(node.count).double(),
    "transpose": lambda x, node: x.transpose(node.a, node.b),
    "slice": lambda x, node: x.movedim(node.dim, 0)[node.start:node.end:node.step].movedim(0, node.dim),
    "squeeze": lambda x, node: x.squeeze(node.dim), "unsqueeze": lambda x, node: x.unsqueeze(node.dim),
    "pad": lambda x, node: F.pad(x, [p for i in range(x.dim() - 1, -1, -1) for p in node.pad[2 * i:2 * i + 2]],
                                 value=node.value),
    "upsample": on_batch(lambda x, node: F.interpolate(x, scale_factor=tuple(node.scale), mode=node.mode)),
    # linear algebra
    "matmul": lambda a, b, _: torch.matmul(a, b), "outer": lambda a, b, _: torch.outer(a, b),
    "dot": lambda a, b, _: torch.dot(a, b), "conv": conv, "conv_input": conv_input,
    "take_rows": lambda table, index, _: table[index.long()],
    "one_hot": lambda label, node: F.one_hot(label.long(), node.classes).double(),
    # pooling
    "max_pool2d": max_pool2d, "max_pool2d_put": put(max_pool2d), "max_pool2d_take": take(max_pool2d),
    "avg_pool2d": avg_pool2d,
    "avg_pool2d_put": lambda dy, node: transposed(lambda x: avg_pool2d(x, node),
                                                  dy.new_zeros([dy.shape[0]] + node.size), dy),
    "adaptive_avg_pool2d": lambda x, node: F.adaptive_avg_pool2d(x, node.out),
    "adaptive_avg_pool2d_put": adaptive_avg_pool2d_put,
    "adaptive_max_pool2d": adaptive_max_pool2d, "adaptive_max_pool2d_put": put(adaptive_max_pool2d),
    "adaptive_max_pool2d_take": take(adaptive_max_pool2d),
    "max_pool1d": lambda x, node: F.max_pool1d(x, node.kernel, node.stride, node.padding, node.dilation,
                                               node.ceil_mode),
    "avg_pool1d": lambda x, node: F.avg_pool1d(x, node.kernel, node.stride, node.padding, node.ceil_mode,
                                               node.count_include_pad),
    "global_avg_pool": lambda x, _: x.reshape(x.shape[0], -1).mean(1),
    # random
    **dict.fromkeys(("dropout", "dropout2d", "bernoulli_mask"), masked(lambda x, node: x)),
    # loss
    "cross_entropy": labelled(lambda x, y, node: F.cross_entropy(x, y, label_smoothing=node.label_smoothing), "dim"),
    "nll_loss": labelled(lambda x, y, node: F.nll_loss(x, y)),
    "accuracy": labelled(lambda x, y, node: (x.argmax(1) == y).double().mean()),
    "top_k": labelled(lambda x, y, node: top_k(x, y, node.k)),
    "mse": between(lambda a, b, _: F.mse_loss(a, b)), "sse": between(lambda a, b, _: F.mse_loss(a, b, reduction="sum")),
    "mae": between(lambda a, b, _: F.l1_loss(a, b)),
    "huber": between(lambda a, b, node: F.huber_loss(a, b, delta=node.delta)),
    "bce": between(lambda p, y, _: F.binary_cross_entropy(p, y)),
    "bce_with_logits": between(lambda x, y, _: F.binary_cross_entropy_with_logits(x, y)),
    "kl_div": between(lambda log_p, q, _: F.kl_div(log_p, q, reduction="sum")),
    # layer
    "linear": lambda x, w, b, _: F.linear(x, w, b),
    "conv2d": lambda x, w, b, node: F.conv2d(x, w, b, node.stride, node.padding, node.dilation, node.groups),
    "conv1d": lambda x, w, b, node: F.conv1d(x, w, b, node.stride, node.padding if node.padding == "same" else
                                             node.padding[1], node.dilation, node.groups),
    "conv_transpose2d": lambda x, w, b, node: F.conv_transpose2d(x, w, b, node.stride, node.padding,
                                                                 node.output_padding, node.groups),
    "layer_norm": lambda x, w, b, node: F.layer_norm(x, x.shape[x.dim() - node.dims:], w, b, node.eps),
    "group_norm": on_batch(lambda x, w, b, node: torch.group_norm(x, node.groups, w, b, node.eps)),
    "embedding": lambda index, w, _: F.embedding(index.long(), w),
    "prelu": lambda x, w, _: torch.where(x > 0, x, w[0] * x),  # F.prelu's second derivative at 0 is not its first's
}

WHOLE = {
    "reduce_sum": over(SUM), "reduce_max": over(MAX), "reduce_min": over(MIN), "reduce_var": over(VAR),
    "standardize": standardize, "inverse_deviation": inverse_deviation, "broadcast": broadcast,
    "dot_general": dot_general, "conv_weight": conv_weight, "put_rows": put_rows, "batch_norm": batch_norm,
}

WITHOUT = {
    **dict.fromkeys(("input", "target", "param", "buffer", "constant", "grad"), "the evaluation does it itself"),
    **dict.fromkeys(("hyper", "batch_size"), "only passes make it"),
    **dict.fromkeys(("random_mask", "random_uniform"), "random numbers"),
    "auc": "it is not known from one batch: NaN",
}

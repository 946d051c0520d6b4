"""Inference in blocks: memory that does not grow with the data, answers that do not change.

How a product is rounded can depend on the number of rows that are multiplied together. A fitted
model promises that the answer for a row does not depend on the rows that come with it, so it works
in blocks of one size, padded with zeros, and of such other sizes as were seen to give the same
bits: larger ones where there are many rows, smaller ones for few.
"""

import weakref

import torch

from sklearn_deepcluster._engine._device import exact_cudnn
from sklearn_deepcluster._engine._net import Step
from sklearn_deepcluster._engine._seeds import generator
from sklearn_deepcluster.nn import RecurrentEncoder

# Blocks have so many rows, by the kind of the device; fewer where these were more values.
_BLOCK_ROWS = {"cpu": 256, "gpu": 4096}
_BLOCK_VALUES = {"cpu": 2**18, "gpu": 2**24}
# Of narrow rows there are larger blocks, up to so many times as many, from so many blocks on.
_LARGER, _MANY_BLOCKS = 16, 16

# Sequences are tried with so many steps.
_STEPS = 4

# Module -> what was asked of it, and where -> sizes. Not kept with the module: another machine or
# another number of threads can round otherwise.
_EQUAL = weakref.WeakKeyDictionary()


def map_blocks(
    function,
    rows,
    *,
    module=None,
    asked=None,
    quick=True,
    compare=None,
    autocast=False,
    device="cpu",
):
    """Apply `function` to `rows` block by block, without gradients.

    Parameters
    ----------
    function : callable
        Takes a tensor (b, n_features) and returns a tensor with b rows.
    rows : Rows
    module : AutoencoderModule, default=None
        That of a fitted model, which the function asks: the result for a row then does not depend
        on the rows that come with it, to the last bit.
    asked : str, default=None
        What it is asked for: one name, one function.
    quick : bool, default=True
        Whether few rows are worth to find out which smaller blocks will do; it pays where there
        are more to come.
    compare : callable, default=None
        Like the function, with all that it computes on the way: by its bits other sizes are tried,
        where the result alone could hide them.
    autocast : bool, default=False
        Run products in bfloat16.
    device : torch.device or str, default="cpu"
        Where the result is wanted.

    Returns
    -------
    out : torch.Tensor with n_samples rows; float32 or an integer type.
    """
    size = block_size(rows, module)
    compare = compare or function
    out = None
    with (
        torch.no_grad(),
        exact_cudnn(rows.device),
        torch.autocast(rows.device.type, dtype=torch.bfloat16, enabled=autocast),
    ):
        if module is None:
            # Nothing is promised of single rows, so the last block is as short as it is.
            rest = len(rows) % size
            sizes = (size, rest) if rest else (size,)
        else:
            sizes = [size]
            if len(rows) >= _MANY_BLOCKS * size:
                sizes = _equal(compare, rows, module, asked, size, larger=True) + sizes
            if len(rows) < size and quick:
                sizes = sizes + _equal(compare, rows, module, asked, size, larger=False)
        for where, block in rows.blocks(sizes):
            part = function(block)[: where.stop - where.start]
            if out is None:
                dtype = torch.float32 if part.is_floating_point() else part.dtype
                # On a GPU until the end: each copy would wait for what was asked before.
                out = torch.empty(len(rows), *part.shape[1:], dtype=dtype, device=rows.device)
            out[where] = part
    return out.to(device)


def mean_loss(objective, function, rows, **options):
    """What an objective says of all rows, on average; nothing is trained.

    Parameters
    ----------
    objective : nn.Module
        Called with a :class:`~sklearn_deepcluster._engine.Step` of outputs, rows and weights.
    function : callable
        Makes the outputs for a tensor (b, n_features).
    rows : Rows
    **options : dict
        See :func:`map_blocks`.

    Returns
    -------
    loss : float
    """
    seen = 0  # blocks come in order, and none is padded

    def losses(block):
        nonlocal seen
        part, seen = slice(seen, seen + len(block)), seen + len(block)
        weight = None if rows.weight is None else rows.weight[part].to(block.device)
        loss = objective(Step(function(block), block, weight=weight))["loss"]
        return loss.expand(len(block))

    return float(map_blocks(losses, rows, **options).double().mean())


def block_size(rows, module=None):
    """Rows of a block: a power of two, by the width of the rows; of sequences it may change."""
    kind = _kind(rows)
    if _sequential(module):
        return _BLOCK_ROWS[kind]
    return _power_of_two(min(_BLOCK_ROWS[kind], _BLOCK_VALUES[kind] // rows.n_features))


def _kind(rows):
    return "cpu" if rows.device.type == "cpu" else "gpu"


def _sequential(module):
    shape = getattr(module, "input_shape", None)
    return shape is not None and shape[0] == -1


def _power_of_two(n):
    return 1 << (max(1, n).bit_length() - 1)


def _equal(function, rows, module, asked, size, larger):
    """Other sizes of blocks, in falling order, that give each row the bits of those of `size`.

    They are tried once per module and question. Random rows, in blocks from the start, the middle
    and the end of a large one, are compared to the last bit: another order of summation would show.
    """
    width = rows.n_features
    if _sequential(module):
        if not any(isinstance(part, RecurrentEncoder) for part in module.modules()):
            return []
        width = _STEPS * module.input_shape[1]  # its products are those of single steps
    tried = _EQUAL.setdefault(module, {})
    place = asked, larger, width, rows.device, torch.get_num_threads()
    if place not in tried:
        if larger:
            most = min(_LARGER * size, _BLOCK_VALUES[_kind(rows)] // rows.n_features)
            most = size if _sequential(module) else most
            others = [2**i for i in range(size.bit_length(), _power_of_two(most).bit_length())]
        else:
            others = [2**i for i in range(1, size.bit_length() - 1)]
        x = _random_rows(max([size, *others]), width, module).to(rows.device)
        try:
            tried[place] = [
                n for n in reversed(others) if _same_bits(function, x[: max(n, size)], min(n, size))
            ]
        except Exception:  # a user's network may not take any rows: then one size it is
            tried[place] = []
    return tried[place]


def _same_bits(function, x, size):
    """Whether blocks of `size` rows have the bits of those that x has as a whole."""
    whole = function(x)
    starts = {0, (len(x) - size) // 2, len(x) - size}
    return all(torch.equal(function(x[s : s + size]), whole[s : s + size]) for s in starts)


def _random_rows(n, n_features, module):
    rng = generator(0)
    x = torch.randn(n, n_features, generator=rng)
    if _sequential(module):  # of any lengths
        shape = module.input_shape
        steps = n_features // shape[1]
        lengths = torch.randint(1, steps + 1, (n, 1), generator=rng)
        ended = torch.arange(steps) >= lengths
        x.view(n, steps, shape[1])[ended] = torch.nan
    return x

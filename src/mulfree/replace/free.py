"""Calls that torch's dispatcher does not know by these names and that multiply nothing: Python methods, attributes,
conversions. Operations of the dispatcher are in ``mulfree.catalog``."""

from __future__ import annotations

from typing import Final

_NAMES: Final = """
    __get__ __set__ __delete__ __getitem__ __setitem__ __len__ __bool__ __int__ __float__ __index__ __contains__
    __repr__ __format__ __hash__ __iter__ __deepcopy__ __reduce_ex__ __reversed__ __array__ __dlpack__
    __setstate__ __eq__ __ne__ __lt__ __le__ __gt__ __ge__ __neg__ __pos__ __invert__ __and__ __rand__ __iand__
    __or__ __ror__ __ior__ __xor__ __rxor__ __ixor__ __lshift__ __rshift__ __ilshift__ __irshift__ __rlshift__
    __rrshift__ size dim ndimension numel nelement stride storage_offset storage untyped_storage data_ptr
    element_size get_device is_contiguous is_complex is_floating_point is_signed is_inference is_conj is_neg
    is_shared is_set_to is_tensor is_grad_enabled is_storage is_nonzero is_distributed float half bfloat16
    double int long short char byte bool type type_as cpu cuda tolist numpy item requires_grad_ retain_grad
    register_hook register_post_accumulate_grad_hook backward detach_ grad result_type can_cast promote_types
    tensor as_tensor asarray from_numpy frombuffer empty_like set_grad_enabled _set_grad_enabled
    _set_deterministic pad _pad reflection_pad replication_pad chunk hsplit vsplit dsplit split tensor_split
    column_stack row_stack atleast_1d atleast_2d atleast_3d block_diag cartesian_prod combinations ravel
    squeeze_copy moveaxis unsafe_split new_tensor new storage_type share_memory_ module_load is_sparse to_dense
    is_mkldnn max_pool1d max_pool2d max_pool3d max_pool1d_with_indices max_unpool1d max_unpool2d max_unpool3d
    unravel_index masked_fill index_fill scatter_add scatter_add_ cumsum bincount embedding
    one_hot flatten unflatten unfold fold relu relu_ threshold threshold_ dropout_ fill_ zero_ logical_and
    logical_or logical_not logical_xor vander_ clone contiguous _assert _assert_async _unwrap_batched _add_batch_dim
    _remove_batch_dim _is_view const_data_ptr __long__ __nonzero__ xpu ipu mtia sym_float sym_int sym_ite
    sym_max sym_min sym_not sym_sum _sym_int
"""

FREE_CALLS: Final = frozenset(_NAMES.split())
"""Free by the name of the function. ``numpy``, ``item`` and ``tolist`` leave torch: what the caller computes with
Python or NumPy afterwards is beyond any torch mode."""

NOT_FREE: Final = frozenset({"frexp", "allclose", "isclose"})
"""Operations of the dispatcher whose gradients multiply, or that scale a tolerance."""

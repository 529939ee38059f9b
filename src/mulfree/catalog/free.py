"""Names of the operations that do not multiply. ``catalog.names`` says how they are written."""

from __future__ import annotations

from typing import Final

from mulfree.catalog.names import names

# Sums and differences. add, sub and the like multiply by ``alpha`` unless it is 1 or -1: see CONDITIONAL.
_ADDITIONS = names("""
    sum nansum sum_to_size cumsum trace neg negative positive _neg_view diff
""")

# Comparisons, selection, and functions that only look at or change the sign or drop digits.
_COMPARISONS = names("""
    eq ne lt le gt ge equal not_equal less less_equal greater greater_equal isnan isinf isfinite isposinf isneginf
    isreal isin signbit sign copysign heaviside where max min amax amin maximum minimum fmax fmin aminmax _aminmax
    argmax argmin cummax cummin _cummax_helper _cummin_helper sort argsort topk kthvalue median nanmedian mode clamp
    clamp_min clamp_max clip relu threshold hardtanh relu6 hardshrink softshrink nan_to_num floor ceil trunc fix frac
    any all count_nonzero nonzero nonzero_static searchsorted bucketize logical_and logical_or logical_xor logical_not
    unique_consecutive _unique _unique2 unique_dim max_pool1d_with_indices max_pool2d_with_indices
    max_pool3d_with_indices adaptive_max_pool2d adaptive_max_pool3d nextafter frexp msort argwhere max_pool1d
    max_pool2d max_pool3d adaptive_max_pool1d max_unpool2d max_unpool3d mkldnn_max_pool2d mkldnn_max_pool3d
    quantized_max_pool1d quantized_max_pool2d quantized_max_pool3d nonzero_numpy unique_dim_consecutive
    _saturate_weight_to_fp16
""")

# Derivatives that only select or add gradients.
_SELECTING_BACKWARDS = names("""
    threshold_backward hardtanh_backward hardshrink_backward softshrink_backward value_selecting_reduction_backward
    max_pool2d_with_indices_backward max_pool3d_with_indices_backward adaptive_max_pool2d_backward
    adaptive_max_pool3d_backward slice_backward select_backward index_select_backward gather_backward diagonal_backward
    trace_backward unfold_backward masked_select_backward reflection_pad1d_backward reflection_pad2d_backward
    reflection_pad3d_backward replication_pad1d_backward replication_pad2d_backward replication_pad3d_backward
    cummaxmin_backward max_pool2d_backward mkldnn_max_pool2d_backward mkldnn_max_pool3d_backward
    fractional_max_pool2d_backward fractional_max_pool3d_backward _pack_padded_sequence_backward
""")

# Copies, conversions between formats, and views: bits move, or are rounded to another format.
_COPIES = names("""
    copy clone _to_copy to contiguous detach alias lift lift_fresh lift_fresh_copy set set_data resize resize_as
    resolve_conj resolve_neg real imag view_as_real view_as_complex _conj conj conj_physical pin_memory _pin_memory
    view view_as _unsafe_view reshape _reshape_alias _reshape_copy as_strided expand expand_as broadcast_to
    broadcast_tensors t mT mH transpose swapaxes swapdims permute movedim moveaxis squeeze unsqueeze flatten unflatten
    select slice narrow split split_with_sizes unsafe_split unsafe_split_with_sizes unsafe_chunk chunk tensor_split
    unbind unfold diagonal diag diag_embed diagflat im2col col2im pixel_shuffle pixel_unshuffle channel_shuffle
    native_channel_shuffle view_copy as_strided_copy expand_copy permute_copy select_copy slice_copy t_copy
    transpose_copy squeeze_copy unsqueeze_copy split_copy unbind_copy diagonal_copy detach_copy alias_copy cat concat
    concatenate stack hstack vstack dstack _stack repeat repeat_interleave tile flip fliplr flipud roll rot90
    constant_pad_nd reflection_pad1d reflection_pad2d reflection_pad3d replication_pad1d replication_pad2d
    replication_pad3d tril triu meshgrid adjoint matrix_H numpy_T atleast_1d atleast_2d atleast_3d block_diag
    cartesian_prod combinations column_stack row_stack dsplit hsplit vsplit complex ravel reshape_as type_as
    narrow_copy unfold_copy split_with_sizes_copy view_as_complex_copy view_as_real_copy pad pad_sequence _pad_circular
    _pad_enum _pack_padded_sequence _pad_packed_sequence _cast_Byte _cast_Char _cast_Double _cast_Float _cast_Half
    _cast_Int _cast_Long _cast_Short _autocast_to_full_precision _autocast_to_reduced_precision _to_cpu chalf
    _copy_from _copy_from_and_resize _lazy_clone _fw_primal _fw_primal_copy _make_dual _make_dual_copy _unpack_dual
    _add_batch_dim _remove_batch_dim _neg_view_copy _conj_copy _conj_physical _resize_output _shape_as_tensor
    _reshape_from_tensor _reshape_alias_copy data shallow_copy_data flatten_dense_tensors unflatten_dense_tensors
    from_file to_mkldnn to_mkldnn_backward mkldnn_reorder_conv2d_weight mkldnn_reorder_conv3d_weight _mkldnn_reshape
    _mkldnn_transpose _chunk_cat linalg_diagonal fft_fftshift fft_ifftshift lu_unpack _cudnn_rnn_flatten_weight
""")

# Sparse, nested and jagged tensors: conversion between layouts, views of their parts, sums.
_SPARSE = names("""
    indices indices_copy _indices _indices_copy values values_copy _values _values_copy col_indices col_indices_copy
    crow_indices crow_indices_copy ccol_indices ccol_indices_copy row_indices row_indices_copy coalesce _coalesce
    _coalesced is_coalesced copy_sparse_to_sparse sparse_dim dense_dim _dimI _dimV _nnz resize_as_sparse sparse_resize
    sparse_resize_and_clear sparse_mask _sparse_mask_projection to_dense _to_dense to_dense_backward to_sparse
    _to_sparse to_sparse_bsc _to_sparse_bsc to_sparse_bsr _to_sparse_bsr to_sparse_csc _to_sparse_csc to_sparse_csr
    _to_sparse_csr sparse_bsc_tensor sparse_bsr_tensor sparse_compressed_tensor sparse_coo_tensor sparse_csc_tensor
    sparse_csr_tensor _sparse_bsc_tensor_unsafe _sparse_bsr_tensor_unsafe _sparse_compressed_tensor_unsafe
    _sparse_compressed_tensor_with_dims _sparse_coo_tensor_unsafe _sparse_coo_tensor_with_dims
    _sparse_coo_tensor_with_dims_and_tensors _sparse_csc_tensor_unsafe _sparse_csr_tensor_unsafe _sparse_broadcast_to
    _sparse_broadcast_to_copy _sparse_sum _sparse_sum_backward _sparse_csr_sum _spdiags _gather_sparse_backward
    _convert_indices_from_coo_to_csr _convert_indices_from_csr_to_coo _validate_compressed_sparse_indices
    _validate_sparse_bsc_tensor_args _validate_sparse_bsr_tensor_args _validate_sparse_compressed_tensor_args
    _validate_sparse_coo_tensor_args _validate_sparse_csc_tensor_args _validate_sparse_csr_tensor_args
    _nested_compute_contiguous_strides_offsets _nested_from_padded _nested_from_padded_and_nested_example
    _nested_from_padded_tensor _nested_get_jagged_dummy _nested_get_lengths _nested_get_max_seqlen
    _nested_get_min_seqlen _nested_get_offsets _nested_get_ragged_idx _nested_get_values _nested_get_values_copy
    _nested_select_backward _nested_sum_backward _nested_tensor_from_mask _nested_tensor_from_mask_left_aligned
    _nested_tensor_from_tensor_list _nested_tensor_size _nested_tensor_storage_offsets _nested_tensor_strides
    _nested_view_from_buffer _nested_view_from_buffer_copy _nested_view_from_jagged _nested_view_from_jagged_copy
    nested_to_padded_tensor to_padded_tensor _jagged_to_padded_dense_forward _padded_dense_to_jagged_forward
""")

# Reading and writing by position.
_INDEXING = names("""
    index index_select _unsafe_index index_put _index_put_impl _unsafe_index_put index_copy index_fill gather take
    take_along_dim put scatter_add masked_fill masked_select masked_scatter masked_scatter_backward embedding
    slice_scatter select_scatter diagonal_scatter as_strided_scatter slice_inverse _unsafe_masked_index
    _unsafe_masked_index_put_accumulate
""")

# New tensors of given values; random whole numbers.
_CREATION = names("""
    empty empty_like empty_strided empty_permuted zeros zeros_like ones ones_like full full_like eye scalar_tensor
    new_empty new_empty_strided new_zeros new_ones new_full zero fill fill_diagonal _efficientzerotensor one_hot
    randint randint_like randperm random tril_indices triu_indices _new_zeros_with_same_feature_meta empty_quantized
    _empty_affine_quantized _empty_per_channel_affine_quantized _cudnn_init_dropout_state
    _make_per_channel_quantized_tensor _make_per_tensor_quantized_tensor
""")

# Bits and bookkeeping.
_BITS = names("""
    bitwise_and bitwise_or bitwise_xor bitwise_not bitwise_left_shift bitwise_right_shift __and__ __or__ __xor__
    __lshift__ __rshift__ bincount _local_scalar_dense item is_nonzero is_same_size is_pinned _has_same_storage_numel
    record_stream _assert_async _assert_scalar _functional_assert_async _is_all_true _is_any_true
    _assert_tensor_metadata sym_size sym_numel sym_stride sym_storage_offset _version size stride dim is_floating_point
    _fused_sdp_choice _debug_has_internal_overlap __iand__ __ior__ __ixor__ __ilshift__ __irshift__ can_cast get_device
    is_complex is_conj is_contiguous is_distributed is_inference is_leaf is_neg is_set_to is_signed is_vulkan_available
    numel output_nr promote_types q_per_channel_axis q_per_channel_scales q_per_channel_zero_points q_scale
    q_zero_point qscheme result_type storage_offset sym_constrain_range sym_constrain_range_for_size sym_is_contiguous
    requires_grad retain_grad retains_grad _has_compatible_shallow_copy_type _nnpack_available cudnn_is_acceptable
    _cufft_clear_plan_cache _cufft_get_plan_cache_max_size _cufft_get_plan_cache_size _cufft_set_plan_cache_max_size
    _use_cudnn_ctc_loss _use_cudnn_rnn_flatten_weight _use_miopen_ctc_loss _functional_assert_scalar
    _functional_sym_constrain_range _functional_sym_constrain_range_for_size int_repr hash_tensor _is_zerotensor
    _make_dep_token _linalg_check_errors _propagate_xla_data _print _backward _philox_key_fold_in _philox_key_split
""")

FREE: Final = _ADDITIONS | _COMPARISONS | _SELECTING_BACKWARDS | _COPIES | _SPARSE | _INDEXING | _CREATION | _BITS

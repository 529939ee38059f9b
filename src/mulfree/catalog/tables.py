"""Which PyTorch operations multiply and which do not: the names.

An operation is named as in PyTorch's dispatcher, without its overload, a leading ``_foreach_`` and a trailing
underscore: ``aten::_foreach_add_`` is ``add``. What is in no table is unknown. ``catalog.classify`` applies them.
"""

from __future__ import annotations

from typing import Final


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Sums and differences. add, sub and the like multiply by ``alpha`` unless it is 1 or -1: see CONDITIONAL.
_ADDITIONS = _names("""
    sum nansum sum_to_size cumsum trace neg negative positive _neg_view
""")

# Comparisons, selection, and functions that only look at or change the sign or drop digits.
_COMPARISONS = _names("""
    eq ne lt le gt ge equal not_equal less less_equal greater greater_equal isnan isinf isfinite isposinf isneginf
    isreal isin signbit sign copysign heaviside where max min amax amin maximum minimum fmax fmin aminmax _aminmax
    argmax argmin cummax cummin _cummax_helper _cummin_helper sort argsort topk kthvalue median nanmedian mode
    clamp clamp_min clamp_max clip relu threshold hardtanh relu6 hardshrink softshrink nan_to_num floor ceil trunc fix
    frac any all count_nonzero nonzero nonzero_static searchsorted bucketize logical_and logical_or logical_xor
    logical_not unique_consecutive _unique _unique2 unique_dim max_pool1d_with_indices max_pool2d_with_indices
    max_pool3d_with_indices adaptive_max_pool2d adaptive_max_pool3d nextafter frexp
""")

# Derivatives that only select or add gradients.
_SELECTING_BACKWARDS = _names("""
    threshold_backward hardtanh_backward hardshrink_backward softshrink_backward value_selecting_reduction_backward
    max_pool2d_with_indices_backward max_pool3d_with_indices_backward adaptive_max_pool2d_backward
    adaptive_max_pool3d_backward slice_backward select_backward index_select_backward gather_backward
    diagonal_backward trace_backward unfold_backward masked_select_backward
    reflection_pad1d_backward reflection_pad2d_backward reflection_pad3d_backward replication_pad1d_backward
    replication_pad2d_backward replication_pad3d_backward
""")

# Copies, conversions between formats, and views: bits move, or are rounded to another format.
_COPIES = _names("""
    copy clone _to_copy to contiguous detach alias lift lift_fresh lift_fresh_copy set set_data resize resize_as
    resolve_conj resolve_neg real imag view_as_real view_as_complex _conj conj conj_physical pin_memory _pin_memory
    view view_as _unsafe_view reshape _reshape_alias _reshape_copy as_strided expand expand_as broadcast_to
    broadcast_tensors t mT mH transpose swapaxes swapdims permute movedim moveaxis squeeze unsqueeze flatten unflatten
    select slice narrow split split_with_sizes unsafe_split unsafe_split_with_sizes unsafe_chunk chunk tensor_split
    unbind unfold diagonal diag diag_embed diagflat im2col col2im pixel_shuffle pixel_unshuffle channel_shuffle
    native_channel_shuffle view_copy as_strided_copy expand_copy permute_copy select_copy slice_copy t_copy
    transpose_copy squeeze_copy unsqueeze_copy split_copy unbind_copy diagonal_copy detach_copy alias_copy
    cat concat concatenate stack hstack vstack dstack _stack repeat repeat_interleave tile flip fliplr flipud roll rot90
    constant_pad_nd reflection_pad1d reflection_pad2d reflection_pad3d replication_pad1d replication_pad2d
    replication_pad3d tril triu meshgrid
""")

# Reading and writing by position.
_INDEXING = _names("""
    index index_select _unsafe_index index_put _index_put_impl _unsafe_index_put index_copy index_fill gather take
    take_along_dim put scatter_add masked_fill masked_select masked_scatter masked_scatter_backward embedding
    slice_scatter select_scatter diagonal_scatter as_strided_scatter slice_inverse
""")

# New tensors of given values; random whole numbers.
_CREATION = _names("""
    empty empty_like empty_strided empty_permuted zeros zeros_like ones ones_like full full_like eye scalar_tensor
    new_empty new_empty_strided new_zeros new_ones new_full zero fill fill_diagonal _efficientzerotensor one_hot
    randint randint_like randperm random tril_indices triu_indices _new_zeros_with_same_feature_meta
""")

# Bits and bookkeeping.
_BITS = _names("""
    bitwise_and bitwise_or bitwise_xor bitwise_not bitwise_left_shift bitwise_right_shift __and__ __or__ __xor__
    __lshift__ __rshift__ bincount _local_scalar_dense item is_nonzero is_same_size is_pinned _has_same_storage_numel
    record_stream _assert_async _assert_scalar _functional_assert_async _is_all_true _is_any_true
    _assert_tensor_metadata sym_size sym_numel sym_stride sym_storage_offset _version size stride dim
    is_floating_point _fused_sdp_choice _debug_has_internal_overlap
""")

FREE: Final = _ADDITIONS | _COMPARISONS | _SELECTING_BACKWARDS | _COPIES | _INDEXING | _CREATION | _BITS

# Products, quotients, powers.
_PRODUCTS = _names("""
    mul multiply div divide true_divide floor_divide remainder fmod reciprocal square pow float_power prod cumprod
    addcmul addcdiv lerp cross linalg_cross ldexp outer ger dot vdot inner mv addmv addr mm addmm _addmm_activation bmm
    baddbmm addbmm matmul linear bilinear _trilinear einsum tensordot chain_matmul kron linalg_vecdot linalg_matmul
    _int_mm _scaled_mm _scaled_mm_v2 _grouped_mm _scaled_grouped_mm deg2rad rad2deg xlogy arange linspace
    logspace renorm embedding_renorm trapezoid
    linear_backward matmul_backward cumprod_backward
""")

# Functions that a floating-point unit computes with multiplications.
_FUNCTIONS = _names("""
    exp exp2 expm1 log log2 log10 log1p sqrt rsqrt sin cos tan sinh cosh tanh asin acos atan atan2 asinh acosh atanh
    arctan2 sinc erf erfc erfinv lgamma digamma polygamma i0 hypot logit sigmoid logaddexp logaddexp2 logcumsumexp
    _logcumsumexp logsumexp special_expit special_erf special_erfinv special_ndtr special_ndtri special_log_ndtr
    special_entr special_xlogy special_i0e special_i1 special_i1e angle tanh_backward sigmoid_backward
    logit_backward
""")

# Means, norms, normalisations, softmax.
_REDUCTIONS = _names("""
    mean nanmean std std_mean var var_mean norm linalg_vector_norm linalg__powsum powsum frobenius_norm nuclear_norm
    linalg_norm linalg_matrix_norm norm_except_dim dist cdist _cdist_forward _cdist_backward pdist _pdist_forward
    _pdist_backward _euclidean_dist cosine_similarity softmax _softmax _safe_softmax _masked_softmax log_softmax
    _log_softmax _softmax_backward_data _log_softmax_backward_data _masked_softmax_backward
    native_layer_norm layer_norm native_layer_norm_backward native_group_norm group_norm native_group_norm_backward
    native_batch_norm batch_norm native_batch_norm_backward batch_norm_backward _native_batch_norm_legit
    _native_batch_norm_legit_functional _native_batch_norm_legit_no_training _batch_norm_with_update
    _batch_norm_with_update_functional _batch_norm_no_update batch_norm_stats batch_norm_elemt batch_norm_update_stats
    batch_norm_gather_stats_with_counts batch_norm_backward_reduce batch_norm_backward_elemt cudnn_batch_norm
    cudnn_batch_norm_backward miopen_batch_norm miopen_batch_norm_backward rms_norm _fused_rms_norm
    _fused_rms_norm_backward instance_norm _weight_norm _weight_norm_interface _weight_norm_interface_backward
    histc histogram cov corrcoef quantile nanquantile
""")

# Activations with slopes or exponentials.
_ACTIVATIONS = _names("""
    gelu gelu_backward silu silu_backward mish mish_backward elu elu_backward celu selu softplus softplus_backward
    leaky_relu leaky_relu_backward prelu _prelu_kernel _prelu_kernel_backward rrelu rrelu_with_noise
    rrelu_with_noise_backward hardsigmoid hardsigmoid_backward hardswish hardswish_backward glu glu_backward
    log_sigmoid_forward log_sigmoid_backward log_sigmoid
""")

# Losses.
_LOSSES = _names("""
    mse_loss mse_loss_backward smooth_l1_loss smooth_l1_loss_backward huber_loss huber_loss_backward
    binary_cross_entropy binary_cross_entropy_backward binary_cross_entropy_with_logits nll_loss_forward
    nll_loss_backward nll_loss2d_forward nll_loss2d_backward nll_loss cross_entropy_loss kl_div soft_margin_loss
    soft_margin_loss_backward multi_margin_loss multi_margin_loss_backward multilabel_margin_loss_forward
    multilabel_margin_loss_backward _ctc_loss _ctc_loss_backward poisson_nll_loss
""")

# Convolutions, averages over windows, interpolation, attention, recurrent cells, Fourier transforms.
_LAYERS = _names("""
    convolution _convolution convolution_backward convolution_overrideable convolution_backward_overrideable
    cudnn_convolution cudnn_convolution_transpose mkldnn_convolution _slow_conv2d_forward
    _slow_conv2d_backward conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d
    conv_depthwise3d _conv_depthwise2d slow_conv3d_forward slow_conv_dilated2d slow_conv_dilated3d
    slow_conv_transpose2d slow_conv_transpose3d conv_tbc mkldnn_linear
    avg_pool1d avg_pool2d avg_pool3d avg_pool2d_backward avg_pool3d_backward adaptive_avg_pool1d adaptive_avg_pool2d
    adaptive_avg_pool3d _adaptive_avg_pool2d _adaptive_avg_pool3d _adaptive_avg_pool2d_backward
    _adaptive_avg_pool3d_backward upsample_nearest1d upsample_nearest2d upsample_nearest3d upsample_linear1d
    upsample_bilinear2d upsample_bicubic2d upsample_trilinear3d upsample_nearest1d_backward
    upsample_nearest2d_backward upsample_nearest3d_backward upsample_linear1d_backward upsample_bilinear2d_backward
    upsample_bicubic2d_backward upsample_trilinear3d_backward _upsample_bilinear2d_aa _upsample_bicubic2d_aa
    _upsample_nearest_exact1d _upsample_nearest_exact2d _upsample_nearest_exact3d grid_sampler_2d grid_sampler_3d
    grid_sampler_2d_backward grid_sampler_3d_backward affine_grid_generator
    scaled_dot_product_attention _scaled_dot_product_attention_math _scaled_dot_product_flash_attention
    _scaled_dot_product_flash_attention_backward _scaled_dot_product_flash_attention_for_cpu
    _scaled_dot_product_flash_attention_for_cpu_backward _scaled_dot_product_efficient_attention
    _scaled_dot_product_efficient_attention_backward _scaled_dot_product_cudnn_attention
    _scaled_dot_product_cudnn_attention_backward _scaled_dot_product_fused_attention_overrideable
    _scaled_dot_product_fused_attention_overrideable_backward _flash_attention_forward _flash_attention_backward
    _efficient_attention_forward _efficient_attention_backward _native_multi_head_attention
    _transformer_encoder_layer_fwd _transform_bias_rescale_qkv _embedding_bag _embedding_bag_forward_only
    _embedding_bag_backward _embedding_bag_dense_backward
    lstm gru lstm_cell gru_cell rnn_tanh rnn_relu _thnn_fused_lstm_cell _thnn_fused_lstm_cell_backward_impl
    _thnn_fused_gru_cell _thnn_fused_gru_cell_backward _cudnn_rnn _cudnn_rnn_backward mkldnn_rnn_layer
    mkldnn_rnn_layer_backward _fft_c2c _fft_c2r _fft_r2c stft istft
""")

# Random numbers with a fraction: the generator's integers are scaled.
_RANDOM = _names("""
    rand rand_like randn randn_like uniform normal normal_functional bernoulli multinomial exponential cauchy
    log_normal geometric poisson binomial _standard_gamma _sample_dirichlet dropout native_dropout
    native_dropout_backward _fused_dropout _masked_scale feature_dropout alpha_dropout
""")

# Linear algebra.
_LINEAR_ALGEBRA = _names("""
    cholesky linalg_cholesky_ex cholesky_solve cholesky_inverse linalg_inv_ex linalg_eig linalg_eigh _linalg_eigh
    linalg_eigvals _linalg_svd linalg_qr geqrf linalg_lu linalg_lu_factor_ex linalg_lu_solve linalg_lstsq _linalg_det
    _linalg_slogdet _linalg_solve_ex linalg_solve_triangular triangular_solve linalg_matrix_exp matrix_exp
    linalg_householder_product ormqr
""")

# Optimizer steps in one operation, gradient scaling, quantisation.
_TRAINING = _names("""
    _fused_adam _fused_adamw _fused_sgd _fused_adagrad _amp_foreach_non_finite_check_and_unscale _amp_update_scale
    quantize_per_tensor quantize_per_channel dequantize fake_quantize_per_tensor_affine_cachemask
    fake_quantize_per_channel_affine_cachemask
""")

MULTIPLYING: Final = (
    _PRODUCTS | _FUNCTIONS | _REDUCTIONS | _ACTIVATIONS | _LOSSES | _LAYERS | _RANDOM | _LINEAR_ALGEBRA | _TRAINING
)

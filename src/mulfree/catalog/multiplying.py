"""Names of the operations that multiply, and of those that nobody has judged."""

from __future__ import annotations

from typing import Final

from mulfree.catalog.names import names

# Products, quotients, powers.
_PRODUCTS = names("""
    mul multiply div divide true_divide floor_divide remainder fmod reciprocal square pow float_power prod cumprod
    addcmul addcdiv lerp cross linalg_cross ldexp outer ger dot vdot inner mv addmv addr mm addmm _addmm_activation bmm
    baddbmm addbmm matmul linear bilinear _trilinear einsum tensordot chain_matmul kron linalg_vecdot linalg_matmul
    _int_mm _scaled_mm _scaled_mm_v2 _grouped_mm _scaled_grouped_mm deg2rad rad2deg xlogy arange linspace logspace
    renorm embedding_renorm trapezoid linear_backward matmul_backward cumprod_backward _dim_arange
    _scaled_grouped_mm_v2 allclose cumulative_trapezoid gcd glu_backward_jvp glu_jvp gradient
    infinitely_differentiable_gelu_backward isclose lcm range trapz vander
""")

# Functions that a floating-point unit computes with multiplications.
_FUNCTIONS = names("""
    exp exp2 expm1 log log2 log10 log1p sqrt rsqrt sin cos tan sinh cosh tanh asin acos atan atan2 asinh acosh atanh
    arctan2 sinc erf erfc erfinv lgamma digamma polygamma i0 hypot logit sigmoid logaddexp logaddexp2 logcumsumexp
    _logcumsumexp logsumexp special_expit special_erf special_erfinv special_ndtr special_ndtri special_log_ndtr
    special_entr special_xlogy special_i0e special_i1 special_i1e angle tanh_backward sigmoid_backward logit_backward
    arccos arccosh arcsin arcsinh arctan arctanh igamma igammac mvlgamma polar special_airy_ai special_bessel_j0
    special_bessel_j1 special_bessel_y0 special_bessel_y1 special_chebyshev_polynomial_t special_chebyshev_polynomial_u
    special_chebyshev_polynomial_v special_chebyshev_polynomial_w special_digamma special_erfc special_erfcx
    special_exp2 special_expm1 special_gammainc special_gammaincc special_gammaln special_hermite_polynomial_h
    special_hermite_polynomial_he special_i0 special_laguerre_polynomial_l special_legendre_polynomial_p special_log1p
    special_log_softmax special_logit special_logsumexp special_modified_bessel_i0 special_modified_bessel_i1
    special_modified_bessel_k0 special_modified_bessel_k1 special_multigammaln special_polygamma special_psi
    special_scaled_modified_bessel_k0 special_scaled_modified_bessel_k1 special_shifted_chebyshev_polynomial_t
    special_shifted_chebyshev_polynomial_u special_shifted_chebyshev_polynomial_v
    special_shifted_chebyshev_polynomial_w special_sinc special_softmax special_spherical_bessel_j0 special_xlog1py
    special_zeta
""")

# Means, norms, normalisations, softmax.
_REDUCTIONS = names("""
    mean nanmean std std_mean var var_mean norm linalg_vector_norm linalg__powsum powsum frobenius_norm nuclear_norm
    linalg_norm linalg_matrix_norm norm_except_dim dist cdist _cdist_forward _cdist_backward pdist _pdist_forward
    _pdist_backward _euclidean_dist cosine_similarity softmax _softmax _safe_softmax _masked_softmax log_softmax
    _log_softmax _softmax_backward_data _log_softmax_backward_data _masked_softmax_backward native_layer_norm
    layer_norm native_layer_norm_backward native_group_norm group_norm native_group_norm_backward native_batch_norm
    batch_norm native_batch_norm_backward batch_norm_backward _native_batch_norm_legit
    _native_batch_norm_legit_functional _native_batch_norm_legit_no_training _batch_norm_with_update
    _batch_norm_with_update_functional _batch_norm_no_update batch_norm_stats batch_norm_elemt batch_norm_update_stats
    batch_norm_gather_stats_with_counts batch_norm_backward_reduce batch_norm_backward_elemt cudnn_batch_norm
    cudnn_batch_norm_backward miopen_batch_norm miopen_batch_norm_backward rms_norm _fused_rms_norm
    _fused_rms_norm_backward instance_norm _weight_norm _weight_norm_interface _weight_norm_interface_backward histc
    histogram cov corrcoef quantile nanquantile _batch_norm_impl_index _batch_norm_impl_index_backward
    _histogramdd_bin_edges _histogramdd_from_bin_cts _histogramdd_from_bin_tensors _nested_tensor_softmax_with_shape
    _segment_reduce_backward _weight_norm_differentiable_backward batch_norm_gather_stats histogramdd native_norm
    pairwise_distance
""")

# Activations with slopes or exponentials.
_ACTIVATIONS = names("""
    gelu gelu_backward silu silu_backward mish mish_backward elu elu_backward celu selu softplus softplus_backward
    leaky_relu leaky_relu_backward prelu _prelu_kernel _prelu_kernel_backward rrelu rrelu_with_noise
    rrelu_with_noise_backward hardsigmoid hardsigmoid_backward hardswish hardswish_backward glu glu_backward
    log_sigmoid_forward log_sigmoid_backward log_sigmoid
""")

# Losses.
_LOSSES = names("""
    mse_loss mse_loss_backward smooth_l1_loss smooth_l1_loss_backward huber_loss huber_loss_backward
    binary_cross_entropy binary_cross_entropy_backward binary_cross_entropy_with_logits nll_loss_forward
    nll_loss_backward nll_loss2d_forward nll_loss2d_backward nll_loss cross_entropy_loss kl_div soft_margin_loss
    soft_margin_loss_backward multi_margin_loss multi_margin_loss_backward multilabel_margin_loss_forward
    multilabel_margin_loss_backward _ctc_loss _ctc_loss_backward poisson_nll_loss _cudnn_ctc_loss cosine_embedding_loss
    ctc_loss hinge_embedding_loss l1_loss margin_ranking_loss miopen_ctc_loss multilabel_margin_loss nll_loss2d
    nll_loss_nd triplet_margin_loss
""")

# Convolutions, averages over windows, interpolation, attention, recurrent cells.
_LAYERS = names("""
    convolution _convolution convolution_backward convolution_overrideable convolution_backward_overrideable
    cudnn_convolution cudnn_convolution_transpose mkldnn_convolution _slow_conv2d_forward _slow_conv2d_backward conv1d
    conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d conv_depthwise3d _conv_depthwise2d
    slow_conv3d_forward slow_conv_dilated2d slow_conv_dilated3d slow_conv_transpose2d slow_conv_transpose3d conv_tbc
    mkldnn_linear avg_pool1d avg_pool2d avg_pool3d avg_pool2d_backward avg_pool3d_backward adaptive_avg_pool1d
    adaptive_avg_pool2d adaptive_avg_pool3d _adaptive_avg_pool2d _adaptive_avg_pool3d _adaptive_avg_pool2d_backward
    _adaptive_avg_pool3d_backward upsample_nearest1d upsample_nearest2d upsample_nearest3d upsample_linear1d
    upsample_bilinear2d upsample_bicubic2d upsample_trilinear3d upsample_nearest1d_backward upsample_nearest2d_backward
    upsample_nearest3d_backward upsample_linear1d_backward upsample_bilinear2d_backward upsample_bicubic2d_backward
    upsample_trilinear3d_backward _upsample_bilinear2d_aa _upsample_bicubic2d_aa _upsample_nearest_exact1d
    _upsample_nearest_exact2d _upsample_nearest_exact3d grid_sampler_2d grid_sampler_3d grid_sampler_2d_backward
    grid_sampler_3d_backward affine_grid_generator scaled_dot_product_attention _scaled_dot_product_attention_math
    _scaled_dot_product_flash_attention _scaled_dot_product_flash_attention_backward
    _scaled_dot_product_flash_attention_for_cpu _scaled_dot_product_flash_attention_for_cpu_backward
    _scaled_dot_product_efficient_attention _scaled_dot_product_efficient_attention_backward
    _scaled_dot_product_cudnn_attention _scaled_dot_product_cudnn_attention_backward
    _scaled_dot_product_fused_attention_overrideable _scaled_dot_product_fused_attention_overrideable_backward
    _flash_attention_forward _flash_attention_backward _efficient_attention_forward _efficient_attention_backward
    _native_multi_head_attention _transformer_encoder_layer_fwd _transform_bias_rescale_qkv _embedding_bag
    _embedding_bag_forward_only _embedding_bag_backward _embedding_bag_dense_backward lstm gru lstm_cell gru_cell
    rnn_tanh rnn_relu _thnn_fused_lstm_cell _thnn_fused_lstm_cell_backward_impl _thnn_fused_gru_cell
    _thnn_fused_gru_cell_backward _cudnn_rnn _cudnn_rnn_backward mkldnn_rnn_layer mkldnn_rnn_layer_backward
    _convolution_double_backward _convolution_mode _cudnn_attention_backward _cudnn_attention_forward
    _embedding_bag_per_sample_weights_backward _flash_attention_forward_no_dropout_inplace
    _grid_sampler_2d_cpu_fallback _grid_sampler_2d_cpu_fallback_backward _lstm_mps _mixed_dtypes_linear
    _mps_convolution _mps_convolution_transpose _nnpack_spatial_convolution _scaled_dot_product_attention_math_for_mps
    _thnn_differentiable_gru_cell_backward _thnn_differentiable_lstm_cell_backward _thnn_fused_lstm_cell_backward
    _triton_multi_head_attention _triton_scaled_dot_attention _upsample_bicubic2d_aa_backward
    _upsample_bilinear2d_aa_backward _upsample_lanczos2d_aa _upsample_lanczos2d_aa_backward
    _upsample_nearest_exact1d_backward _upsample_nearest_exact2d_backward _upsample_nearest_exact3d_backward
    adaptive_avg_pool3d_backward affine_grid_generator_backward conv_tbc_backward cudnn_affine_grid_generator
    cudnn_affine_grid_generator_backward cudnn_convolution_add_relu cudnn_convolution_relu cudnn_grid_sampler
    cudnn_grid_sampler_backward embedding_bag fractional_max_pool2d fractional_max_pool3d grid_sampler
    lstm_mps_backward miopen_convolution miopen_convolution_add_relu miopen_convolution_relu
    miopen_convolution_transpose miopen_depthwise_convolution miopen_rnn miopen_rnn_backward mkldnn_adaptive_avg_pool2d
    mkldnn_adaptive_avg_pool2d_backward mkldnn_linear_backward mkldnn_linear_backward_input
    mkldnn_linear_backward_weights mps_convolution_backward mps_convolution_transpose_backward rnn_relu_cell
    rnn_tanh_cell slow_conv3d thnn_conv2d
""")

# Fourier transforms.
_FOURIER = names("""
    _fft_c2c _fft_c2r _fft_r2c stft istft fft_fft fft_fft2 fft_fftfreq fft_fftn fft_hfft fft_hfft2 fft_hfftn fft_ifft
    fft_ifft2 fft_ifftn fft_ihfft fft_ihfft2 fft_ihfftn fft_irfft fft_irfft2 fft_irfftn fft_rfft fft_rfft2 fft_rfftfreq
    fft_rfftn
""")

# Random numbers with a fraction: the generator's integers are scaled.
_RANDOM = names("""
    rand rand_like randn randn_like uniform normal normal_functional bernoulli multinomial exponential cauchy
    log_normal geometric poisson binomial _standard_gamma _sample_dirichlet dropout native_dropout
    native_dropout_backward _fused_dropout _masked_scale feature_dropout alpha_dropout _dirichlet_grad
    _fill_mem_eff_dropout_mask _philox_normal _philox_uniform _sobol_engine_draw _sobol_engine_ff
    _sobol_engine_initialize_state _sobol_engine_scramble _standard_gamma_grad bartlett_window blackman_window
    feature_alpha_dropout hamming_window hann_window kaiser_window rrelu_with_noise_functional
""")

# Linear algebra.
_LINEAR_ALGEBRA = names("""
    cholesky linalg_cholesky_ex cholesky_solve cholesky_inverse linalg_inv_ex linalg_eig linalg_eigh _linalg_eigh
    linalg_eigvals _linalg_svd linalg_qr geqrf linalg_lu linalg_lu_factor_ex linalg_lu_solve linalg_lstsq _linalg_det
    _linalg_slogdet _linalg_solve_ex linalg_solve_triangular triangular_solve linalg_matrix_exp matrix_exp
    linalg_householder_product ormqr _cholesky_solve_helper _compute_linear_combination _linalg_eigvals _lu_with_info
    det inverse linalg_cholesky linalg_cond linalg_det linalg_eigvalsh linalg_inv linalg_ldl_factor
    linalg_ldl_factor_ex linalg_ldl_solve linalg_lu_factor linalg_matrix_power linalg_matrix_rank linalg_matrix_sqrth
    linalg_multi_dot linalg_pinv linalg_polar linalg_slogdet linalg_solve linalg_solve_ex linalg_svd linalg_svdvals
    linalg_tensorinv linalg_tensorsolve linalg_vander logdet lu_solve matrix_exp_backward matrix_power orgqr pinverse
    qr slogdet svd
""")

# Products and softmax of sparse tensors.
_SPARSE_PRODUCTS = names("""
    _cslt_sparse_mm _cslt_sparse_mm_search _embedding_bag_sparse_backward _sparse_addmm _sparse_csr_prod
    _sparse_log_softmax _sparse_log_softmax_backward_data _sparse_mm _sparse_mm_reduce_impl
    _sparse_mm_reduce_impl_backward _sparse_semi_structured_addmm _sparse_semi_structured_linear
    _sparse_semi_structured_mm _sparse_softmax _sparse_softmax_backward_data _sparse_sparse_matmul _spsolve hspmm smm
    sparse_sampled_addmm sspaddmm
""")

# Optimizer steps in one operation, gradient scaling, quantisation and what computes with quantised weights.
_TRAINING = names("""
    _fused_adam _fused_adamw _fused_sgd _fused_adagrad _amp_foreach_non_finite_check_and_unscale _amp_update_scale
    quantize_per_tensor quantize_per_channel dequantize fake_quantize_per_tensor_affine_cachemask
    fake_quantize_per_channel_affine_cachemask _choose_qparams_per_tensor _dyn_quant_matmul_4bit
    _fake_quantize_learnable_per_channel_affine _fake_quantize_learnable_per_channel_affine_backward
    _fake_quantize_learnable_per_tensor_affine _fake_quantize_learnable_per_tensor_affine_backward
    _fake_quantize_per_tensor_affine_cachemask_tensor_qparams _fused_moving_avg_obs_fq_helper
    _fused_moving_avg_obs_fq_helper_functional _weight_int4pack_mm _weight_int4pack_mm_for_cpu
    _weight_int4pack_mm_with_scales_and_zeros _weight_int8pack_mm _wrapped_quantized_linear_prepacked
    choose_qparams_optimized fake_quantize_per_channel_affine fake_quantize_per_channel_affine_cachemask_backward
    fake_quantize_per_tensor_affine fake_quantize_per_tensor_affine_cachemask_backward fbgemm_linear_fp16_weight
    fbgemm_linear_fp16_weight_fp32_activation fbgemm_linear_int8_weight fbgemm_linear_int8_weight_fp32_activation
    fbgemm_linear_quantize_weight fused_moving_avg_obs_fake_quant quantize_per_tensor_dynamic quantized_batch_norm
    quantized_gru quantized_gru_cell quantized_lstm quantized_lstm_cell quantized_rnn_relu_cell quantized_rnn_tanh_cell
""")

MULTIPLYING: Final = frozenset().union(
    _PRODUCTS,
    _FUNCTIONS,
    _REDUCTIONS,
    _ACTIVATIONS,
    _LOSSES,
    _LAYERS,
    _FOURIER,
    _RANDOM,
    _LINEAR_ALGEBRA,
    _SPARSE_PRODUCTS,
    _TRAINING,
)

# Packing for libraries and devices whose code was not looked at, and torch's own test operations: unknown to the
# audit by decision, so a finding.
UNJUDGED: Final = names("""
    _convert_weight_to_int4pack _convert_weight_to_int4pack_for_cpu _cslt_compress _dyn_quant_pack_4bit_weight _foobar
    _rowwise_prune _sparse_semi_structured_apply _sparse_semi_structured_apply_dense _sparse_semi_structured_tile
    _test_ambiguous_defaults _test_autograd_multiple_dispatch _test_autograd_multiple_dispatch_view
    _test_autograd_multiple_dispatch_view_copy _test_check_tensor _test_functorch_fallback
    _test_optional_filled_intlist _test_optional_floatlist _test_optional_intlist _test_parallel_materialize
    _test_serialization_subcmul _test_string_default _test_warn_in_autograd _to_sparse_semi_structured
    _wrapped_linear_prepack fbgemm_pack_gemm_matrix_fp16 fbgemm_pack_quantized_matrix get_gradients
""")

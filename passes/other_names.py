"""What other tools call what our passes do. A pipeline may use these names, and the documentation lists them with each pass."""

from __future__ import annotations

from graphopt.pipeline.other_names import Meaning, Needless, NotBuilt

# ---- why there is no such pass

TARGET = NotBuilt("it is worth it on some runtimes only, so it needs a target")
CONTRIB = NotBuilt("it makes operators that only ONNX Runtime has; it makes them itself when it loads the model")
RUNTIME_FUSES = NotBuilt("onnxruntime fuses Q and DQ when it loads the model; level 2 of its targets puts them where it looks for them")
QUANTIZES = NotBuilt("it quantizes or prunes: what the model computes changes. Use the tool that does it before graphopt")
LEGALIZES = NotBuilt("it spells an operator by others for runtimes that lack it, which is no optimization elsewhere")
HIDES = NotBuilt("a runtime that fuses attention looks for it as exporters write it")
PLACES = NotBuilt("it places nodes on devices, which the runtime does when it loads the model")

# ---- what happens anyway

ALWAYS_SORTED = Needless("nodes are in an order in which they can run, always")
ALWAYS_INFERRED = Needless("types and shapes are inferred before the first pass, and kept current")
ALWAYS_VALID = Needless("a model that was valid stays valid: each pass is checked for it")
FREEZE = Needless("it is no rewrite: give --freeze NAME=SIZE")

MOVES = "fuse-consecutive-transposes eliminate-noop-transpose push-transposes"
RESHAPES = "fuse-consecutive-reshapes eliminate-noop-reshape"
GEMM = "fuse-matmul-add fuse-gemm-scale"
NOOPS = (
    "eliminate-dead-nodes eliminate-identity eliminate-dropout eliminate-noop-pad eliminate-noop-cast eliminate-noop-reshape"
    " eliminate-noop-slice eliminate-neutral-operand eliminate-noop-expand eliminate-noop-transpose eliminate-noop-concat"
    " eliminate-noop-split eliminate-noop-resize"
)


def each(names: str, meaning: Meaning) -> dict[str, Meaning]:
    """Several names of one meaning."""
    return dict.fromkeys(names.split(), meaning)


OPTIMIZER: dict[str, Meaning] = {
    "adjust_add": Needless("it puts the constant of an Add second; rules here find it in either place"),
    "adjust_slice_and_matmul": NotBuilt("the product of fewer columns is what graphopt would make of it, where that is less work"),
    "eliminate_common_subexpression": "eliminate-common-subexpressions",
    "eliminate_consecutive_idempotent_ops": "eliminate-redundant-unary",
    "eliminate_deadend": "eliminate-dead-nodes",
    "eliminate_duplicate_initializer": "merge-equal-initializers",
    "eliminate_identity": "eliminate-identity",
    "eliminate_if_with_const_cond": "inline-if",
    "eliminate_nop_cast": "eliminate-noop-cast",
    "eliminate_nop_concat": "eliminate-noop-concat",
    "eliminate_nop_dropout": "eliminate-dropout",
    "eliminate_nop_expand": "eliminate-noop-expand",
    "eliminate_nop_flatten": "eliminate-noop-flatten",
    "eliminate_nop_monotone_argmax": NotBuilt("rounding makes equal what was not, and of equals ArgMax takes the first: another index"),
    "eliminate_nop_pad": "eliminate-noop-pad",
    "eliminate_nop_reshape": "eliminate-noop-reshape",
    "eliminate_nop_split": "eliminate-noop-split",
    "eliminate_nop_transpose": "eliminate-noop-transpose",
    "eliminate_nop_with_unit": "eliminate-neutral-operand eliminate-noop-concat",
    "eliminate_shape_gather": "fold-constants simplify-shape-arithmetic",
    "eliminate_shape_op": "fold-constants",
    "eliminate_slice_after_shape": "fold-constants simplify-shape-arithmetic",
    "eliminate_unused_initializer": "eliminate-dead-nodes",
    "extract_constant_to_initializer": "lift-constants",
    "fuse_add_bias_into_conv": "fuse-conv-scale",
    "fuse_bn_into_conv": "fuse-conv-bn",
    "fuse_concat_into_reshape": "materialize-shapes",
    "fuse_consecutive_concats": "fuse-consecutive-concats",
    "fuse_consecutive_log_softmax": "fuse-log-softmax",
    "fuse_consecutive_reduce_unsqueeze": "fuse-reduce",
    "fuse_consecutive_slices": "fuse-consecutive-slices",
    "fuse_consecutive_squeezes": "fuse-consecutive-reshapes",
    "fuse_consecutive_transposes": "fuse-consecutive-transposes",
    "fuse_consecutive_unsqueezes": "fuse-consecutive-reshapes",
    "fuse_matmul_add_bias_into_gemm": "fuse-matmul-add",
    "fuse_pad_into_conv": "fuse-pad",
    "fuse_pad_into_pool": "fuse-pad",
    "fuse_qkv": "fuse-parallel-matmuls",
    "fuse_transpose_into_gemm": "fuse-gemm-transpose",
    "lift_lexical_references": NotBuilt("a subgraph may read what is outside; listing it as attributes is for a framework that is gone"),
    "nop": Needless("it does nothing"),
    "rename_input_output": "rename-io",
    "replace_einsum_with_matmul": "convert-einsum-to-matmul",
    "rewrite_input_dtype": NotBuilt("it changes the type of inputs, which is the model's promise to its callers"),
    "rewrite_where": "simplify-logic",
    "set_unique_name_for_nodes": "fix-names",
    "split_init": NotBuilt("it cuts the model in two by what depends on inputs: fold-constants computes that part instead"),
    "split_predict": NotBuilt("it cuts the model in two by what depends on inputs: fold-constants computes the other part instead"),
}

SIMPLIFIER: dict[str, Meaning] = {
    "constant_folding": "fold-constants",
    "eliminate_loop_with_const_trip_count": "inline-loop unroll-loop",
    "eliminate_nop_reduce": "eliminate-noop-reduce",
    "eliminate_nop_softmax": NotBuilt("of NaN and infinities Softmax makes NaN, along an axis of extent 1 too"),
    "eliminate_optional_get_element": "eliminate-optional",
    "eliminate_optional_has_element": "eliminate-optional",
    "eliminate_reshape_around_elementwise": "eliminate-reshape-around-elementwise",
    "eliminate_reshape_family_on_constant": "fold-constants",
    "eliminate_sequence_at_construct": "eliminate-sequence",
    "eliminate_sequence_length_construct": "eliminate-sequence",
    "fuse_consecutive_mul": "merge-constant-operands",
    "fuse_consecutive_reduce": "fuse-reduce",
    "fuse_consecutive_reshapes": RESHAPES,
    "fuse_consecutive_squeeze_unsqueeze": "eliminate-squeeze-unsqueeze-pair",
    "fuse_gelu": "fuse-gelu",
    "fuse_gqa": HIDES,
    "fuse_attention": HIDES,
    "fuse_layer_norm": "fuse-layer-norm",
    "fuse_lp_normalization": NotBuilt("of zeros LpNormalization makes zeros, and a quotient of norms NaN"),
    "fuse_mul_into_conv": "fuse-conv-scale",
    "fuse_preceding_mul_into_conv": "fuse-scale-conv",
    "fuse_reshape_family": RESHAPES,
    "fuse_rms_norm": "fuse-rms-norm",
    "fuse_rope": HIDES,
    "fuse_split_gather_concat": NotBuilt("it was found in no model; eliminate-slice-of-concat does what is next to it"),
    "fuse_matmul_add_bias_into_gemm_batched": NotBuilt("a product of stacked matrices is faster than Reshape, Gemm and Reshape"),
    "fuse_matmul_into_conv": TARGET,
    "fuse_reduce_sum_into_conv": TARGET,
    "float16_to_float32": NotBuilt("it changes the types that the model computes in"),
    "gemm_transA_to_transpose": LEGALIZES,
    "maxpool_rowmajor_when_indices_unused": "eliminate-pool-order",
    "explicit_conv_padding": "convert-conv-padding-to-pad",
    "rewrite_arg_reduce_select_last_index": "decompose-last-index",
    "rewrite_gather_over_concat": "eliminate-slice-of-concat",
    "rewrite_gathernd_to_gather": "eliminate-redundant-index",
    "explicit_auto_pad": "convert-auto-pad-to-pads",
    "neg_to_mul": "convert-neg-to-mul",
    "rewrite_bool_where": "simplify-where convert-where-to-logic",
    "pow2_to_mul": "convert-pow-to-mul",
    **each(
        "defuse_matmul_integer_to_float dilated_conv_to_taps rank0_to_rank1 rewrite_bev_pool_to_scatter rewrite_deform_conv_to_gather"
        " rewrite_gatherelements_to_gather rewrite_gridsample_to_gather"
        " rewrite_implicit_broadcast rewrite_msdeformattn_to_gridsample rewrite_scatterelements_to_scatternd"
        " rewrite_tensor_scatter_to_scatter_elements rewrite_trt_batched_nms rewrite_trt_batched_rotated_nms split_large_gather",
        LEGALIZES,
    ),
    **each(
        "adpq any_precision_llm aqlm attention_quantization cross_layer_equalization d2quant_dsq deepseek_fp8 double_quantization"
        " drop_by_drop dynamic_quantize_attention dynamic_quantize_matmul dynamic_quantize_matmul_integer_to_float"
        " dynamic_quantize_ternary_matmul fp6_llm gguf_q2_k gguf_q3_k gguf_q4_0 gguf_q4_1 gguf_q4_k gguf_q5_0 gguf_q5_1 gguf_q5_k"
        " gguf_q6_k gguf_q8_0 gguf_ternary_quant hqq ibert_gelu ibert_softmax icquant if4 intactkv iq4_nl kbvq_moe"
        " kmeans_quantization leptoquant llm_fp4 lo_bcq magnitude_pruning_attention magnitude_pruning_conv magnitude_pruning_global"
        " magnitude_pruning_matmul nf4 nvfp4_quantization olive qoperator_quantize_activation qoperator_quantize_concat"
        " qoperator_quantize_conv qoperator_quantize_elementwise qoperator_quantize_gemm qoperator_quantize_matmul"
        " qoperator_quantize_pool qoperator_quantize_softmax qoperator_quantize_where qoq quantize_bf16 quantize_fp16 quantize_fp8"
        " quarot quip_sharp static_quantize_conv static_quantize_int16_conv static_quantize_int16_matmul static_quantize_matmul"
        " weight_only_quantize_conv weight_only_quantize_int16_conv weight_only_quantize_int16_matmul"
        " weight_only_quantize_int4_conv weight_only_quantize_int4_matmul weight_only_quantize_int8_block_conv"
        " weight_only_quantize_int8_block_matmul weight_only_quantize_matmul weight_only_quantize_matmul_nbits"
        " weight_only_quantize_mxfp4_matmul zeroquant",
        QUANTIZES,
    ),
}

RUNTIME: dict[str, Meaning] = {
    "EliminateIdentity": "eliminate-identity",
    "EliminateSlice": "eliminate-noop-slice",
    "UnsqueezeElimination": "fold-constants",
    "EliminateDropout": "eliminate-dropout",
    "ExpandElimination": "eliminate-noop-expand",
    "CastElimination": "eliminate-noop-cast",
    "CastChainElimination": "simplify-casts",
    "PreShapeNodeElimination": "simplify-casts simplify-shape-arithmetic",
    "NoopElimination": "eliminate-neutral-operand",
    "DivMulFusion": "fuse-div-mul",
    "FuseReluClip": "fuse-consecutive-clips",
    "GemmSumFusion": "fuse-gemm-scale",
    "GemmTransposeFusion": "fuse-gemm-transpose",
    "NotWhereFusion": "simplify-logic",
    "ConvAddFusion": "fuse-conv-scale",
    "ConvMulFusion": "fuse-conv-scale",
    "ConvBNFusion": "fuse-conv-bn",
    **each("Pad_Fusion PadFusion", "fuse-pad"),
    **each("MatMul_BatchNormalization_Fusion MatmulBNFusion", "fuse-gemm-scale"),
    "LabelEncoderFusion": NotBuilt("tables one after the other are rare, and ONNX Runtime merges them itself"),
    "DoubleQDQPairsRemover": "merge-quantization-chain",
    "ConstantSharing": "merge-equal-initializers",
    "CommonSubexpressionElimination": "eliminate-common-subexpressions",
    "ConstantFolding": "fold-constants inline-if",
    "MatMulAddFusion": "fuse-matmul-add",
    "ReshapeFusion": f"materialize-shapes {RESHAPES}",
    "FreeDimensionOverrideTransformer": FREEZE,
    "SliceConcatToSpaceToDepthFusion": "convert-slices-to-space-to-depth",
    **each("GeluFusion GeluFusionL1", "fuse-gelu"),
    **each("LayerNormFusion LayerNormFusionL1", "fuse-layer-norm"),
    "EnsureUniqueDQForNodeUnit": "make-dequantize-unique",
    "TransposeOptimizer": MOVES,
    "GatherSliceToSplitFusion": "convert-slices-to-split",
    "GatherToSliceFusion": NotBuilt("a Slice clamps its bounds where a Gather fails, and is as many nodes"),
    "FuseInitializersTransformer": "fold-constants",
    **each(
        "MatMulIntegerToFloatFusion QDQFinalCleanupTransformer QDQSelectorActionTransformer WhereDummyDq ConstantFoldingDQ"
        " DQMatMulNBitsFusion Level2_RuleBasedTransformer",
        RUNTIME_FUSES,
    ),
    "DynamicQuantizeMatMulFusion": "fuse-dynamic-quantization",
    "QDQPropagationTransformer": "propagate-dequantize-down propagate-quantize-up",
    **each("QDQS8ToU8Transformer Avx2WeightS8ToU8Transformer", "convert-int8-to-uint8"),
    **each("ClipQuantRewrite ClipQuantFusion", "absorb-clip-into-quantize"),
    **each("ReluQuantRewrite ReluQuantFusion", "absorb-relu-into-quantize"),
    "WeightBiasQuantization": "quantize-bias",
    **each(
        "AttentionFusion BiasDropoutFusion BiasGeluFusion BiasSkipLayerNormFusion BiasSoftmaxFusion ConvActivationFusion"
        " ConvAddActivationFusion EmbedLayerNormFusion FastGeluFusion GeluApproximation GeluFusionL2 GemmActivationFusion"
        " GroupQueryAttentionFusion GroupQueryAttentionPreNormFusion LayerNormFusionL2 MatMulActivationFusion MatMulNBitsFusion"
        " MatMulNBitsMlpFusion MatMulNBitsQkvFusion MatMulScaleFusion MatmulTransposeFusion QuickGeluFusion"
        " SimplifiedLayerNormFusion SkipLayerNormFusion",
        CONTRIB,
    ),
    **each("NchwcTransformer NhwcTransformer GqaValueLayoutTransformer TransposeOptimizer_CPUExecutionProvider", TARGET),
    **each(
        "CastFloat16Transformer InsertCastTransformer RemoveDuplicateCastTransformer MemcpyTransformer"
        " FuseFp16InitializerToFp32NodeTransformer",
        PLACES,
    ),
    "Level1_RuleBasedTransformer": (
        "eliminate-identity eliminate-noop-slice fold-constants eliminate-dropout eliminate-noop-expand eliminate-noop-cast"
        " eliminate-neutral-operand fuse-div-mul fuse-conv-scale fuse-conv-bn"
    ),
}

SLIM: dict[str, Meaning] = {
    "EliminationConcat": "fuse-consecutive-concats",
    "EliminationReshape": RESHAPES,
    "EliminationReshapeAs": "materialize-shapes simplify-shape-arithmetic",
    "EliminationSlice": "fuse-consecutive-slices",
    "EliminationTranspose": "fuse-consecutive-transposes",
    "EliminationTransposeAsReshape": "eliminate-noop-transpose",
    "EliminationTransposeViewTranspose": MOVES,
    "EliminationUnsqueeze": "fuse-consecutive-reshapes",
    "FusionConcatReshape": "materialize-shapes",
    "FusionConvAdd": "fuse-conv-scale",
    "FusionConvBN": "fuse-conv-bn",
    "FusionConvMul": "fuse-conv-scale",
    "FusionConvTransposeAdd": "fuse-conv-scale",
    "FusionConvTransposeBN": "fuse-conv-bn",
    "FusionConvTransposeMul": "fuse-conv-scale",
    "FusionGelu": "fuse-gelu",
    "FusionGemm": "fuse-matmul-add",
    "FusionGemmAdd": "fuse-gemm-scale",
    "FusionGemmMul": "fuse-gemm-scale",
    "FusionPadConv": "fuse-pad",
    "FusionReduce": "fuse-reduce",
    "constant_folding": "fold-constants",
    "dead_node_elimination": NOOPS,
    "graph_fusion": (
        f"fuse-consecutive-concats {RESHAPES} fuse-consecutive-transposes fuse-consecutive-slices materialize-shapes fuse-conv-bn"
        f" fuse-conv-scale {GEMM} fuse-pad fuse-reduce"
    ),
    "subexpression_elimination": "eliminate-common-subexpressions",
    "weight_tying": "merge-equal-initializers",
}

SCRIPT: dict[str, Meaning] = {
    **each("CastCast cast_cast_rule", "simplify-casts"),
    **each("CastIdentity no_op_cast_rule", "eliminate-noop-cast"),
    **each("ExpandIdentity no_op_expand_rule", "eliminate-noop-expand"),
    **each("Flatten2Reshape flatten_to_reshape_rule", "convert-flatten-to-reshape"),
    **each("ReshapeReshape reshape_reshape_rule SqueezeReshape1d squeeze_reshape_1d_rule", RESHAPES),
    **each("UnsqueezeUnsqueeze unsqueeze_unsqueeze_rule", "fuse-consecutive-reshapes"),
    **each("SlicesSplit slice_split_rule", "convert-slices-to-split"),
    **each("TransposeIdentity no_op_transpose_rule", "eliminate-noop-transpose"),
    **each("TransposeTranspose transpose_transpose_rule", "fuse-consecutive-transposes"),
    **each("MaterializeReshapeShape materialize_reshape_shape_rule", "materialize-shapes"),
    **each(
        "FuseSuccessiveMin FuseSuccessiveMax FuseMinMaxToClip FuseMaxMinToClip min_min_rule max_max_rule min_max_rule max_min_rule",
        "merge-constant-operands fuse-consecutive-clips",
    ),
    **each("FuseSuccessiveRelu successive_relu_rule", "eliminate-redundant-unary"),
    **each(
        "FuseSuccessiveClipRelu FuseSuccessiveReluClip FuseSuccessiveClip"
        " successive_clip_relu_rule successive_relu_clip_rule successive_clip_rule",
        "fuse-consecutive-clips",
    ),
    **each(
        "ScatterAllDynamic ScatterAllStatic no_op_dynamic_scatter_nd_rule no_op_static_scatter_nd_rule", "eliminate-redundant-index"
    ),
    **each(
        "NormalizePadFormatConv NormalizePadFormatConvInteger normalize_pad_format_conv_rule normalize_pad_format_conv_integer_rule",
        "convert-auto-pad-to-pads",
    ),
    **each("FuseConvPad FuseConvIntegerPad fuse_pad_into_conv_rule fuse_pad_into_conv_integer_rule", "fuse-pad"),
    **each(
        "FuseBatchNormIntoConv FuseBatchNormIntoConvTranspose fuse_batchnorm_into_conv_rule fuse_batchnorm_into_conv_transpose_rule",
        "fuse-conv-bn",
    ),
    **each("FuseBatchNormIntoGemm fuse_batchnorm_into_gemm_rule", "fuse-gemm-scale"),
    **each(
        "RemoveOptionalBiasFromConv RemoveOptionalBiasFromConvTranspose RemoveOptionalBiasFromQLinearConv RemoveOptionalBiasFromGemm"
        " remove_optional_bias_from_conv_rule remove_optional_bias_from_conv_transpose_rule"
        " remove_optional_bias_from_qlinear_conv_rule remove_optional_bias_from_gemm_rule",
        "eliminate-zero-bias",
    ),
    **each("add_0_rule sub_0_rule mul_by_1_rule div_by_1_rule", "eliminate-neutral-operand"),
    **each("dropout_zero_rule dropout_inference_rule", "eliminate-dropout"),
    **each(
        "one_reshape_matmul_reshape_rule two_reshapes_matmul_reshape_rule",
        "convert-gemm-to-matmul eliminate-reshape-around-elementwise",
    ),
    **each("cast_constant_of_shape_rule cast_constant_of_shape_without_value_rule", "simplify-casts simplify-expand"),
    **each("collapse_slice_rule collapse_slice2_rule", "eliminate-noop-slice"),
    **each("affine_conv_fusion_rule", "fuse-scale-conv"),
    **each("conv_affine_fusion_rule", "fuse-conv-scale"),
    **each("fuse_hardswish_rules", "fuse-activation"),
    **each("gemm_to_matmul_add_rule", NotBuilt("Gemm is what MatMul and Add become; the other way round is slower")),
    **each("matmul_add_to_gemm_rule", "fuse-matmul-add"),
    **each(
        "transpose_a_matmul_add_to_gemm_rule transpose_b_matmul_add_to_gemm_rule transpose_ab_matmul_add_to_gemm_rule",
        "fuse-matmul-add fuse-gemm-transpose",
    ),
    **each("expand_before_binary_op_rules", "eliminate-expand-before-broadcast"),
    **each("fuse_rotary_embedding fuse_partial_rotary_embedding rotary_embedding_rules partial_embedding_rules", HIDES),
    **each("fuse_layer_normalization layer_normalization_rules", "fuse-layer-norm"),
    **each("fuse_rms_normalization rms_normalization_rules", "fuse-rms-norm"),
    **each(
        "fuse_bias_gelu fuse_cos_sin_cache fuse_erfgelu fuse_qkv_gqa fuse_mha1 fuse_mha2 fuse_mha_bias fuse_mha_scale fuse_sdpa"
        " fuse_skip_layer_normalization fuse_skip_rms_normalization fuse_xformers",
        CONTRIB,
    ),
}

IR: dict[str, Meaning] = {
    "AddDefaultAttributesPass": "add-default-attributes",
    "AddInitializersToInputsPass": "add-initializers-to-inputs",
    "CheckerPass": ALWAYS_VALID,
    "ClearMetadataAndDocStringPass": "clear-metadata",
    "CommonSubexpressionEliminationPass": "eliminate-common-subexpressions",
    **each("DeduplicateHashedInitializersPass DeduplicateInitializersPass", "merge-equal-initializers"),
    "IdentityEliminationPass": "eliminate-identity",
    "InlinePass": "inline-functions",
    "LiftConstantsToInitializersPass": "lift-constants",
    "LiftSubgraphInitializersToMainGraphPass": "lift-subgraph-initializers",
    "NameFixPass": "fix-names",
    "OutputFixPass": NotBuilt("no pass here makes an input an output or an output twice"),
    "RemoveInitializersFromInputsPass": "remove-initializers-from-inputs",
    "RemoveUnusedFunctionsPass": "remove-unused-functions",
    "RemoveUnusedNodesPass": "eliminate-dead-nodes",
    "RemoveUnusedOpsetsPass": "remove-unused-opset-imports",
    "ShapeInferencePass": ALWAYS_INFERRED,
    "TopologicalSortPass": ALWAYS_SORTED,
}

TENSORFLOW: dict[str, Meaning] = {
    "optimize_transpose": MOVES,
    "remove_redundant_upsample": "eliminate-noop-resize",
    "fold_constants": "fold-constants",
    "const_dequantize_optimizer": "propagate-dequantize-down move-weight-transpose-through-dequantize",
    "loop_optimizer": "capture-loop-invariants hoist-loop-invariants",
    "merge_duplication": "eliminate-common-subexpressions",
    "reshape_optimizer": "materialize-shapes simplify-shape-arithmetic",
    "global_pool_optimizer": "convert-reduce-to-global-pool",
    "q_dq_optimizer": "cancel-dequantize-quantize propagate-dequantize-down propagate-quantize-up",
    "remove_identity": "eliminate-identity",
    "remove_back_to_back": f"simplify-casts {MOVES} {RESHAPES} eliminate-squeeze-unsqueeze-pair fuse-conv-bn fuse-conv-scale",
    "einsum_optimizer": "convert-einsum-to-matmul",
}

OTHER_NAMES = {
    "onnxoptimizer, onnxsim": OPTIMIZER,
    "onnxsim": SIMPLIFIER,
    "ONNX Runtime": RUNTIME,
    "onnxslim": SLIM,
    "onnxscript": SCRIPT,
    "onnx_ir": IR,
    "tf2onnx": TENSORFLOW,
}

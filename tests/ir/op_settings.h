/* Where the tests of ops try each row: operands, and the attributes that have no default.
 *
 * Operands: a type as in the text form, or `bit` for an f32 of zeros and ones that is not
 * differentiated, or `buf` for a buffer. Integers are drawn from 0..2, so tables and classes have
 * at least 3. A row without a setting is tried on `automatic` shapes; one that needs more than that
 * must have settings here. */
#ifndef DLC_TESTS_IR_OP_SETTINGS_H
#define DLC_TESTS_IR_OP_SETTINGS_H

typedef struct {
  const char *op, *operands, *attrs;
} OpSetting;

/* As many as the row has operands are taken from the left. Elementwise ops broadcast, so they get
 * all. */
static const char *const automatic_elementwise[][3] = {
    {"f32[*,2,3]", "f32[*,3]", "f32[*,2,1]"},
    {"f32[3]", "f32[*,2,1]", "f32"},
    {"f32", "f32[2,3]", "f32[*,3]"},
    {"f32[*,1,2]", "f32[2,1]", "f32[1,1,1]"},
};
static const char *const automatic_other[][3] = {
    {"f32[*,2,3]", "f32[*,2,3]", "f32[*,2,3]"},
    {"f32[2,3]", "f32[2,3]", "f32[2,3]"},
};

static const OpSetting op_settings[] = {
    /* elementwise */
    {"pow", "f32[*,2,3]", "exponent=2.7"},
    {"pow", "f32[4]", "exponent=0"},
    {"pow", "f32[*,3]", "exponent=1"},
    {"pow", "f32[*,3]", "exponent=2"},
    {"pow", "f32[*,3]", "exponent=-1.5"},
    {"clamp", "f32[*,2,8]", "lo=-1, hi=1.5"},
    {"clamp", "f32[8]", "lo=-inf, hi=1"},
    {"clamp", "f32[*,8]", "lo=0, hi=inf"},
    {"select", "bit[*,2,3] f32[*,3] f32[*,2,1]", ""},
    {"select", "bit[3] f32[*,2,3] f32", ""},

    /* activation */
    {"relu6", "f32[*,16]", ""},
    {"leaky_relu", "f32[*,8]", "slope=0.3"},
    {"rrelu", "f32[*,8]", ""},
    {"elu", "f32[*,8]", "alpha=0.7"},
    {"gelu", "f32[*,8]", ""},
    {"gelu", "f32[*,8]", "approximate=\"tanh\""},
    {"hard_sigmoid", "f32[*,16]", ""},
    {"hard_swish", "f32[*,16]", ""},
    {"softmax", "f32[*,2,3]", ""},
    {"softmax", "f32[*,4,3]", "dim=0"},
    {"softmax", "f32[5]", "dim=-1"},
    {"log_softmax", "f32[*,2,3]", ""},
    {"log_softmax", "f32[*,4,3]", "dim=0"},
    {"log_softmax", "f32[5]", "dim=-1"},

    /* reduction */
    {"reduce_sum", "f32[*,2,3,2]", "dims=[1]"},
    {"reduce_sum", "f32[*,2,3,2]", "dims=[0,2], batch=true"},
    {"reduce_sum", "f32[*,3]", "dims=[], batch=true"},
    {"reduce_sum", "f32[2,3]", "dims=[0,1]"},
    {"reduce_max", "f32[*,2,3,2]", "dims=[1]"},
    {"reduce_max", "f32[*,2,3,2]", "dims=[0,2], batch=true"},
    {"reduce_max", "f32[2,3]", "dims=[0,1]"},
    {"reduce_min", "f32[*,2,3,2]", "dims=[1]"},
    {"reduce_min", "f32[*,2,3]", "dims=[0], batch=true"},
    {"reduce_min", "f32[2,3]", "dims=[0,1]"},
    {"argmax", "f32[*,4]", ""},
    {"argmax", "f32[*,4,3]", "dim=0"},
    {"sum", "f32[*,2,3]", ""},
    {"sum", "f32[*,2,3]", "dim=[-1], keepdim=true"},
    {"mean", "f32[*,2,3]", ""},
    {"mean", "f32[2,3,2]", "dim=[0,-1], keepdim=true"},
    {"max", "f32[*,2,3]", ""},
    {"max", "f32[*,2,3]", "dim=[1], keepdim=true"},
    {"min", "f32[*,2,3]", ""},
    {"min", "f32[*,2,3]", "dim=[0]"},
    {"var", "f32[*,2,3]", ""},
    {"var", "f32[*,2,3]", "dim=[1], keepdim=true, unbiased=true"},
    {"standardize", "f32[*,3,2,2]", "dims=[1,2], batch=true, eps=1e-5"},
    {"standardize", "f32[*,3,4]", "dims=[1], eps=1e-5"},
    {"standardize", "f32[*,3]", "dims=[], batch=true, eps=0.1"},
    {"standardize", "f32[3,4]", "dims=[0,1], eps=1e-3"},
    {"inverse_deviation", "f32[*,3,2,2]", "dims=[1,2], batch=true, eps=1e-5"},
    {"inverse_deviation", "f32[*,3,4]", "dims=[1], eps=1e-5"},
    {"inverse_deviation", "f32[3,4]", "dims=[0,1], eps=1e-3"},

    /* shape */
    {"reshape", "f32[*,2,6]", "shape=[3,4]"},
    {"reshape", "f32[*,2,6]", "shape=[2,-1,3]"},
    {"reshape", "f32[1]", "shape=[]"},
    {"permute", "f32[*,2,3,4]", "order=[2,0,1]"},
    {"permute", "f32[2,3]", "order=[-1,0]"},
    {"broadcast", "f32[2,1]", "shape=[3,2,4], batched=true"},
    {"broadcast", "f32[*,1,3]", "shape=[2,3], batched=true"},
    {"broadcast", "f32", "shape=[2,3], batched=false"},
    {"concat", "f32[*,2,3] f32[*,1,3] f32[4,3]", ""},
    {"concat", "f32[2,3] f32[2,2]", "dim=-1"},
    {"concat", "f32[*,2]", "dim=0"},
    {"cut", "f32[*,5,7]", "start=[1,0], size=[2,3], step=[2,3]"},
    {"cut", "f32[6]", "start=[4], size=[1], step=[5]"},
    {"surround", "f32[*,2,3]", "low=[1,0], high=[0,2], inner=[2,1], value=1.5"},
    {"surround", "f32[3]", "low=[0], high=[0], inner=[0]"},
    {"transpose", "f32[*,2,3,4]", "a=0, b=-1"},
    {"slice", "f32[*,5,3]", "dim=0, start=1, end=5, step=2"},
    {"slice", "f32[*,5,3]", "dim=-1, start=-2, end=100"},
    {"squeeze", "f32[*,2,1,3]", "dim=1"},
    {"unsqueeze", "f32[*,2,3]", "dim=-1"},
    {"unsqueeze", "f32", "dim=0"},

    /* linear algebra */
    {"dot_general", "f32[*,2,3] f32[3,4]", "contract_a=[1], contract_b=[0]"},
    {"dot_general", "f32[*,2,3] f32[4,3]", "contract_a=[1], contract_b=[1]"},
    {"dot_general", "f32[*,2,3] f32[*,3,2]", "contract_a=[1,0], contract_b=[0,1]"},
    {"dot_general", "f32[*,2,3,4] f32[*,4,2,5]",
     "contract_a=[2], contract_b=[0], batch_a=[0], batch_b=[1]"},
    {"dot_general", "f32[*,3,2,2] f32[2,3,2]",
     "contract_a=[1,0], contract_b=[0,1], batch_a=[2], batch_b=[2]"},
    {"dot_general", "f32[*,2,3] f32[*,2,4]", "contract_a=[0], contract_b=[0], sum_batch=true"},
    {"dot_general", "f32[*,2,3] f32[3,4]", "contract_a=[1], contract_b=[0], sum_batch=true"},
    {"dot_general", "f32[2,3] f32[*,3]", "contract_a=[1], contract_b=[0], sum_batch=true"},
    {"dot_general", "f32[2,3] f32[3,2]", "contract_a=[1], contract_b=[0]"},
    {"dot_general", "f32[*,2] f32[*,3]", "contract_a=[], contract_b=[]"},
    {"dot_general", "f32[*,2] f32[3]", "contract_a=[], contract_b=[]"},
    {"matmul", "f32[*,2,3] f32[3,4]", ""},
    {"matmul", "f32[*,3] f32[*,3,2]", ""},
    {"matmul", "f32[*,2,3] f32[3]", ""},
    {"matmul", "f32[*,2,1,2,3] f32[2,3,2]", ""},
    {"matmul", "f32[2,3] f32[*,2,3,2]", ""},
    {"matmul", "f32[3] f32[*,2,3,2]", ""},
    {"matmul", "f32[*,3] f32[*,3]", ""},
    {"outer", "f32[*,2] f32[*,3]", ""},
    {"outer", "f32[2] f32[*,3]", ""},
    {"dot", "f32[*,3] f32[*,3]", ""},
    {"conv", "f32[*,2,5,4] f32[4,1,3,2]", "stride=[2,1], pads=[1,0,0,1], dilation=[1,2], groups=2"},
    {"conv", "f32[*,2,4,4] f32[3,2,2,2]", "pads=[0,1,1,0]"},
    {"conv", "f32[1,3,3] f32[2,1,3,3]", "pads=[1,1,1,1]"},
    {"conv_input", "f32[*,4,3,3] f32[4,1,3,2]",
     "size=[5,4], stride=[2,1], pads=[1,1,0,1], dilation=[1,2], groups=2"},
    {"conv_input", "f32[3,2,2] f32[3,2,2,2]", "size=[5,4], stride=[2,2], pads=[0,0,0,0]"},
    {"conv_weight", "f32[*,2,5,4] f32[*,4,3,3]",
     "kernel=[3,2], stride=[2,1], pads=[1,1,0,1], dilation=[1,2], groups=2"},
    {"conv_weight", "f32[2,4,4] f32[3,3,3]", "kernel=[2,2], pads=[0,0,0,0]"},
    {"take_rows", "f32[4,3] i32[*]", ""},
    {"take_rows", "f32[4] i32[*,2]", ""},
    {"take_rows", "f32[3,2,2] i32[*,3]", ""},
    {"put_rows", "f32[*,3] i32[*]", "count=4"},
    {"put_rows", "f32[*,2] i32[*,2]", "count=3"},
    {"one_hot", "i32[*]", "classes=4"},
    {"one_hot", "i32[*,3]", "classes=3"},

    /* pooling */
    {"max_pool2d", "f32[*,2,4,6]", "kernel=[2,3]"},
    {"max_pool2d", "f32[*,1,6,5]", "kernel=[3,2], stride=[2,1], padding=[1,1], dilation=[1,2]"},
    {"max_pool2d", "f32[1,5,5]", "kernel=[2,2], stride=[2,2], ceil_mode=true"},
    {"max_pool2d_put", "f32[*,1,5,5] f32[*,1,3,3]", "kernel=[3,3], stride=[2,2], padding=[1,1]"},
    {"max_pool2d_put", "f32[2,4,4] f32[2,3,3]", "kernel=[2,2], stride=[1,1]"},
    {"max_pool2d_take", "f32[*,1,5,5] f32[*,1,5,5]", "kernel=[3,3], stride=[2,2], padding=[1,1]"},
    {"max_pool2d_take", "f32[2,4,4] f32[2,4,4]", "kernel=[2,2], stride=[1,1]"},
    {"avg_pool2d", "f32[*,2,4,6]", "kernel=[2,3]"},
    {"avg_pool2d", "f32[*,1,5,5]",
     "kernel=[3,3], stride=[2,2], padding=[1,1], ceil_mode=true, count_include_pad=false"},
    {"avg_pool2d", "f32[1,6,5]", "kernel=[3,2], stride=[2,2], padding=[1,0], ceil_mode=true"},
    {"avg_pool2d_put", "f32[*,1,3,3]",
     "size=[5,5], kernel=[3,3], stride=[2,2], padding=[1,1], count_include_pad=false"},
    {"avg_pool2d_put", "f32[2,2,3]", "size=[4,6], kernel=[2,2]"},
    {"adaptive_avg_pool2d", "f32[*,2,5,7]", "out=[2,3]"},
    {"adaptive_avg_pool2d", "f32[1,2,3]", "out=[3,1]"},
    {"adaptive_avg_pool2d_put", "f32[*,2,2,3]", "size=[5,7]"},
    {"adaptive_avg_pool2d_put", "f32[1,3,1]", "size=[2,3]"},
    {"global_avg_pool", "f32[*,3,2,2]", ""},
    {"global_avg_pool", "f32[3,4]", ""},

    /* random */
    {"random_mask", "f32[*,2,3]", "keep=0.5, stream=0"},
    {"random_mask", "f32[*,2,3]", "keep=0.5, stream=1, elementwise=false"},
    {"random_uniform", "f32[*,2,3]", "lo=-1, hi=2, stream=0"},
    {"bernoulli_mask", "f32[*,2,3]", "keep=0.6"},

    /* loss */
    {"cross_entropy", "f32[*,4] i32[*]", ""},
    {"cross_entropy", "f32[*,2,4] i32[*,2]", "label_smoothing=0.1"},
    {"cross_entropy", "f32[*,4,2] i32[*,2]", "dim=0, label_smoothing=0.2"},
    {"nll_loss", "f32[*,4] i32[*]", ""},
    {"nll_loss", "f32[*,2,4] i32[*,2]", ""},
    {"huber", "f32[*,2,3] f32[*,3]", ""},
    {"huber", "f32[*,6] f32[*,6]", "delta=2"},
    {"accuracy", "f32[*,4] i32[*]", ""},
    {"accuracy", "f32[*,2,4] i32[*,2]", ""},

    /* layer */
    {"linear", "f32[*,3] f32[2,3] f32[2]", "out=2"},
    {"linear", "f32[*,2,3] f32[4,3] _", "out=4, bias=false"},
    {"conv2d", "f32[*,2,5,4] f32[4,1,3,2] f32[4]",
     "out=4, kernel=[3,2], stride=[2,1], padding=[1,1], groups=2"},
    {"conv2d", "f32[*,1,4,4] f32[2,1,2,3] _", "out=2, kernel=[2,3], padding=same, bias=false"},
    {"batch_norm", "f32[*,3,2,2] f32[3] f32[3] buf[3] buf[3]", ""},
    {"batch_norm", "f32[*,3] f32[3] f32[3] buf[3] buf[3]", "eps=0.1, momentum=0.3"},
    {"batch_norm", "f32[*,2,3] _ _ buf[2] buf[2]", "affine=false"},
    {"embedding", "i32[*,2] f32[4,3]", "count=4, width=3"},
};

#endif

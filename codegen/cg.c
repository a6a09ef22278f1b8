/* The module under construction and the small builders of cg.h. Loops are tested at the head, so
 * that a carried phi of the head is also the final value after the loop; the code generator turns
 * them round. */
#include "codegen/cg.h"

#include <llvm-c/Support.h>
#include <llvm-c/Target.h>
#include <pthread.h>
#include <string.h>

#include "codegen/cpu.h"

/* ---- the target ---- */

/* Loop strength reduction takes more than half of the time of code generation and does nothing for
 * loops whose pointers already move by themselves: measured, the code is as fast without. It has no
 * switch but this. */
static void initialise_once(void) {
  static const char *const words[] = {"dlc", "-disable-lsr"};
  LLVMParseCommandLineOptions(2, words, "");
  LLVMInitializeAllTargetInfos();
  LLVMInitializeAllTargets();
  LLVMInitializeAllTargetMCs();
  LLVMInitializeAllAsmPrinters();
  LLVMInitializeAllAsmParsers();
}

static void initialise_targets(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, initialise_once);
}

static LLVMCodeGenOptLevel code_level(int level) {
  return level <= 0   ? LLVMCodeGenLevelNone
         : level == 1 ? LLVMCodeGenLevelLess
         : level == 2 ? LLVMCodeGenLevelDefault
                      : LLVMCodeGenLevelAggressive;
}

/* The triple asked for, or this machine's, in LLVM's normal form. */
static const char *find_triple(Arena *a, const char *triple) {
  char *own = triple ? NULL : LLVMGetDefaultTargetTriple();
  char *normal = LLVMNormalizeTargetTriple(triple ? triple : own);
  const char *copy = arena_strdup(a, normal);
  LLVMDisposeMessage(normal);
  if (own) LLVMDisposeMessage(own);
  return copy;
}

static bool make_machine(Cg *cg, const char *triple, const Cpu *cpu, const char **why) {
  LLVMTargetRef target;
  char *message = NULL;
  if (LLVMGetTargetFromTriple(triple, &target, &message)) {
    *why = arena_printf(cg->arena, "unknown target '%s'", triple);
    LLVMDisposeMessage(message);
    return false;
  }
  cg->machine =
      LLVMCreateTargetMachine(target, triple, cpu->base, cpu->add, code_level(cg->options.level),
                              LLVMRelocPIC, LLVMCodeModelDefault);
  cg->layout = cg->machine ? LLVMCreateTargetDataLayout(cg->machine) : NULL;
  if (!cg->machine) *why = arena_printf(cg->arena, "no code can be generated for '%s'", triple);
  return cg->machine;
}

static void make_types(Cg *cg) {
  cg->i1 = LLVMInt1TypeInContext(cg->context);
  cg->i8 = LLVMInt8TypeInContext(cg->context);
  cg->i32 = LLVMInt32TypeInContext(cg->context);
  cg->i64 = LLVMInt64TypeInContext(cg->context);
  cg->f32 = LLVMFloatTypeInContext(cg->context);
  cg->f64 = LLVMDoubleTypeInContext(cg->context);
  cg->ptr = LLVMPointerTypeInContext(cg->context, 0);
  cg->void_ = LLVMVoidTypeInContext(cg->context);
  cg->real = cg->real_bytes == 8 ? cg->f64 : cg->f32;
}

struct KernelTable {
  struct KernelEntry *bucket[256];
  Cpu cpu;
};

Cg *cg_new(Arena *a, const char *module_name, const CgOptions *options, int64_t max_batch,
           const char **why) {
  initialise_targets();
  Cg *cg = ARENA_NEW(a, Cg);
  cg->arena = a;
  cg->options = *options;
  cg->real_bytes = options->real_bytes == 8 ? 8 : 4;
  cg->max_batch = max_batch;
  cg->kernels = ARENA_NEW(a, struct KernelTable);
  const char *triple = find_triple(a, options->triple);
  Cpu *cpu = &cg->kernels->cpu;
  if (!cpu_find(a, triple, options->cpu, cpu, why) || !make_machine(cg, triple, cpu, why))
    return NULL;
  cg->lanes = cpu->vector_bytes / cg->real_bytes;
  cg->registers = cpu->registers;
  cg->masks = cpu->masks;
  cg->fma = cpu->fma;
  cg->features = cpu->features;
  cg->context = LLVMContextCreate();
  cg->module = LLVMModuleCreateWithNameInContext(module_name, cg->context);
  cg->builder = LLVMCreateBuilderInContext(cg->context);
  LLVMSetTarget(cg->module, triple);
  LLVMSetModuleDataLayout(cg->module, cg->layout);
  make_types(cg);
  return cg;
}

void cg_free(Cg *cg) {
  if (!cg) return;
  LLVMDisposeBuilder(cg->builder);
  LLVMDisposeModule(cg->module);
  LLVMContextDispose(cg->context);
  LLVMDisposeTargetData(cg->layout);
  LLVMDisposeTargetMachine(cg->machine);
}

/* ---- kernels by specification ---- */

typedef struct KernelEntry {
  const char *key;
  const void *list;
  struct KernelEntry *next;
} KernelEntry;

static unsigned key_bucket(const char *key) {
  unsigned h = 2166136261u;
  for (; *key; key++) h = (h ^ (unsigned char)*key) * 16777619u;
  return (h ^ (h >> 16)) & 255u;
}

const void *cg_kernel_find(Cg *cg, const char *key) {
  for (const KernelEntry *e = cg->kernels->bucket[key_bucket(key)]; e; e = e->next)
    if (!strcmp(e->key, key)) return e->list;
  return NULL;
}

void cg_kernel_keep(Cg *cg, const char *key, const void *list) {
  KernelEntry **bucket = &cg->kernels->bucket[key_bucket(key)];
  KernelEntry *e = ARENA_NEW(cg->arena, KernelEntry);
  *e = (KernelEntry){arena_strdup(cg->arena, key), list, *bucket};
  *bucket = e;
}

/* ---- functions ---- */

static void text_attribute(Cg *cg, LLVMValueRef f, const char *key, const char *value) {
  LLVMAttributeRef at = LLVMCreateStringAttribute(cg->context, key, (unsigned)strlen(key), value,
                                                  (unsigned)strlen(value));
  LLVMAddAttributeAtIndex(f, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, at);
}

static void word_attribute(Cg *cg, LLVMValueRef f, LLVMAttributeIndex at, const char *name) {
  unsigned kind = LLVMGetEnumAttributeKindForName(name, strlen(name));
  LLVMAddAttributeAtIndex(f, at, LLVMCreateEnumAttribute(cg->context, kind, 0));
}

void cg_function_attributes(Cg *cg, LLVMValueRef f) {
  const Cpu *cpu = &cg->kernels->cpu;
  const char *width = arena_printf(cg->arena, "%d", cpu->vector_bytes * 8);
  LLVMSetUnnamedAddress(f, LLVMGlobalUnnamedAddr); /* the same code may stand for two of them */
  word_attribute(cg, f, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, "nounwind");
  text_attribute(cg, f, "target-cpu", cpu->base);
  text_attribute(cg, f, "tune-cpu", cpu->tune);
  if (*cpu->add) text_attribute(cg, f, "target-features", cpu->add);
  text_attribute(cg, f, "prefer-vector-width", width);
  text_attribute(cg, f, "min-legal-vector-width", width);
  /* A large frame on too small a stack stops at the guard page, and never steps over it. */
  text_attribute(cg, f, "probe-stack", "inline-asm");
  if (cg->options.debug) text_attribute(cg, f, "frame-pointer", "all");
}

LLVMValueRef cg_function(Cg *cg, const char *name) {
  LLVMTypeRef args[] = {cg->ptr, cg->i64, cg->i64, cg->i64};
  static const char *const names[] = {"buffers", "n", "begin", "end"};
  LLVMTypeRef type = LLVMFunctionType(cg->void_, args, 4, false);
  LLVMValueRef f = LLVMAddFunction(cg->module, name, type);
  LLVMSetLinkage(f, LLVMInternalLinkage);
  for (unsigned i = 0; i < 4; i++)
    LLVMSetValueName2(LLVMGetParam(f, i), names[i], strlen(names[i]));
  cg_function_attributes(cg, f);
  word_attribute(cg, f, 1, "noalias"); /* the array of pointers, not what they point to */
  word_attribute(cg, f, 1, "readonly");
  LLVMPositionBuilderAtEnd(cg->builder, cg_block(cg, f, "entry"));
  return f;
}

LLVMBasicBlockRef cg_block(Cg *cg, LLVMValueRef function, const char *name) {
  return LLVMAppendBasicBlockInContext(cg->context, function, name);
}

LLVMValueRef cg_current(Cg *cg) { return LLVMGetBasicBlockParent(LLVMGetInsertBlock(cg->builder)); }

/* ---- values ---- */

LLVMValueRef cg_int(Cg *cg, int64_t v) {
  return LLVMConstInt(cg->i64, (unsigned long long)v, true);
}

LLVMValueRef cg_real(Cg *cg, double v) { return LLVMConstReal(cg->real, v); }

LLVMTypeRef cg_vector(Cg *cg, LLVMTypeRef element, int lanes) {
  (void)cg;
  return lanes == 1 ? element : LLVMVectorType(element, (unsigned)lanes);
}

LLVMValueRef cg_splat(Cg *cg, LLVMValueRef scalar, int lanes) {
  if (lanes == 1) return scalar;
  LLVMValueRef each[64];
  if (LLVMIsConstant(scalar)) {
    for (int i = 0; i < lanes; i++) each[i] = scalar;
    return LLVMConstVector(each, (unsigned)lanes);
  }
  LLVMTypeRef type = LLVMVectorType(LLVMTypeOf(scalar), (unsigned)lanes);
  LLVMValueRef one = LLVMBuildInsertElement(cg->builder, LLVMGetPoison(type), scalar,
                                            LLVMConstInt(cg->i32, 0, 0), "");
  LLVMValueRef zeros = LLVMConstNull(LLVMVectorType(cg->i32, (unsigned)lanes));
  return LLVMBuildShuffleVector(cg->builder, one, LLVMGetPoison(type), zeros, "splat");
}

LLVMValueRef cg_add(Cg *cg, LLVMValueRef a, LLVMValueRef b) {
  if (LLVMIsAConstantInt(b) && LLVMConstIntGetZExtValue(b) == 0) return a;
  if (LLVMIsAConstantInt(a) && LLVMConstIntGetZExtValue(a) == 0) return b;
  return LLVMBuildAdd(cg->builder, a, b, "");
}

LLVMValueRef cg_mul(Cg *cg, LLVMValueRef a, LLVMValueRef b) {
  if (LLVMIsAConstantInt(a)) {
    LLVMValueRef t = a;
    a = b;
    b = t;
  }
  if (LLVMIsAConstantInt(b) && LLVMConstIntGetZExtValue(b) == 1) return a;
  if (LLVMIsAConstantInt(b) && LLVMConstIntGetZExtValue(b) == 0) return b;
  return LLVMBuildMul(cg->builder, a, b, "");
}

LLVMValueRef cg_call(Cg *cg, const char *intrinsic, int ntypes, LLVMTypeRef *types, int nargs,
                     LLVMValueRef *args) {
  unsigned id = LLVMLookupIntrinsicID(intrinsic, strlen(intrinsic));
  LLVMValueRef f = LLVMGetIntrinsicDeclaration(cg->module, id, types, (size_t)ntypes);
  LLVMTypeRef type = LLVMIntrinsicGetType(cg->context, id, types, (size_t)ntypes);
  return LLVMBuildCall2(cg->builder, type, f, args, (unsigned)nargs, "");
}

LLVMValueRef cg_fma(Cg *cg, LLVMValueRef a, LLVMValueRef b, LLVMValueRef c) {
  if (!cg->fma) return LLVMBuildFAdd(cg->builder, LLVMBuildFMul(cg->builder, a, b, ""), c, "");
  return cg_call(cg, "llvm.fma", 1, (LLVMTypeRef[]){LLVMTypeOf(a)}, 3, (LLVMValueRef[]){a, b, c});
}

/* ---- memory ---- */

void cg_prefetch(Cg *cg, LLVMValueRef address, CgCache cache) {
  LLVMValueRef args[] = {address, LLVMConstInt(cg->i32, 0, false),
                         LLVMConstInt(cg->i32, cache, false), LLVMConstInt(cg->i32, 1, false)};
  cg_call(cg, "llvm.prefetch", 1, &cg->ptr, 4, args);
}

LLVMValueRef cg_buffer(Cg *cg, LLVMValueRef buffers, int slot) {
  LLVMValueRef at = cg_at(cg, cg->ptr, buffers, cg_int(cg, slot));
  return cg_invariant(cg, LLVMBuildLoad2(cg->builder, cg->ptr, at, ""));
}

LLVMValueRef cg_invariant(Cg *cg, LLVMValueRef load) {
  unsigned kind = LLVMGetMDKindIDInContext(cg->context, "invariant.load", 14);
  LLVMSetMetadata(load, kind,
                  LLVMMetadataAsValue(cg->context, LLVMMDNodeInContext2(cg->context, NULL, 0)));
  return load;
}

LLVMValueRef cg_at(Cg *cg, LLVMTypeRef element, LLVMValueRef base, LLVMValueRef index) {
  if (LLVMIsAConstantInt(index) && LLVMConstIntGetZExtValue(index) == 0) return base;
  return LLVMBuildGEP2(cg->builder, element, base, &index, 1, "");
}

static unsigned element_bytes(Cg *cg, LLVMTypeRef type) {
  if (LLVMGetTypeKind(type) == LLVMVectorTypeKind) type = LLVMGetElementType(type);
  return (unsigned)LLVMStoreSizeOfType(cg->layout, type);
}

/* A one-lane mask as <1 x i1>, for the masked intrinsics. */
static LLVMValueRef one_lane(Cg *cg, LLVMValueRef v) {
  return LLVMBuildBitCast(cg->builder, v, LLVMVectorType(LLVMTypeOf(v), 1), "");
}

LLVMValueRef cg_load(Cg *cg, LLVMTypeRef element, LLVMValueRef address, int lanes,
                     LLVMValueRef mask) {
  unsigned bytes = element_bytes(cg, element);
  LLVMTypeRef type = cg_vector(cg, element, lanes);
  if (!mask) {
    LLVMValueRef load = LLVMBuildLoad2(cg->builder, type, address, "");
    LLVMSetAlignment(load, bytes);
    return load;
  }
  LLVMTypeRef wide = LLVMVectorType(element, (unsigned)lanes);
  LLVMValueRef args[] = {address, LLVMConstInt(cg->i32, bytes, false),
                         lanes == 1 ? one_lane(cg, mask) : mask, LLVMConstNull(wide)};
  LLVMValueRef v = cg_call(cg, "llvm.masked.load", 2, (LLVMTypeRef[]){wide, cg->ptr}, 4, args);
  return lanes == 1 ? LLVMBuildBitCast(cg->builder, v, element, "") : v;
}

void cg_store(Cg *cg, LLVMValueRef value, LLVMValueRef address, LLVMValueRef mask) {
  unsigned bytes = element_bytes(cg, LLVMTypeOf(value));
  if (!mask) {
    LLVMSetAlignment(LLVMBuildStore(cg->builder, value, address), bytes);
    return;
  }
  bool scalar = LLVMGetTypeKind(LLVMTypeOf(value)) != LLVMVectorTypeKind;
  LLVMValueRef v = scalar ? one_lane(cg, value) : value;
  LLVMValueRef args[] = {v, address, LLVMConstInt(cg->i32, bytes, false),
                         scalar ? one_lane(cg, mask) : mask};
  cg_call(cg, "llvm.masked.store", 2, (LLVMTypeRef[]){LLVMTypeOf(v), cg->ptr}, 4, args);
}

LLVMValueRef cg_min(Cg *cg, LLVMValueRef a, LLVMValueRef b) {
  LLVMValueRef less = LLVMBuildICmp(cg->builder, LLVMIntSLT, a, b, "");
  return LLVMBuildSelect(cg->builder, less, a, b, "");
}

LLVMValueRef cg_max(Cg *cg, LLVMValueRef a, LLVMValueRef b) {
  LLVMValueRef less = LLVMBuildICmp(cg->builder, LLVMIntSLT, a, b, "");
  return LLVMBuildSelect(cg->builder, less, b, a, "");
}

LLVMValueRef cg_iota(Cg *cg, LLVMTypeRef integer, int lanes) {
  (void)cg;
  LLVMValueRef each[64];
  for (int i = 0; i < lanes; i++) each[i] = LLVMConstInt(integer, (unsigned long long)i, false);
  return lanes == 1 ? each[0] : LLVMConstVector(each, (unsigned)lanes);
}

LLVMValueRef cg_mask(Cg *cg, LLVMValueRef count, int lanes) {
  LLVMValueRef limited = cg_min(cg, count, cg_int(cg, lanes));
  LLVMValueRef narrow = LLVMBuildTrunc(cg->builder, limited, cg->i32, "");
  return LLVMBuildICmp(cg->builder, LLVMIntSLT, cg_iota(cg, cg->i32, lanes),
                       cg_splat(cg, narrow, lanes), "mask");
}

/* ---- control ---- */

CgLoop cg_loop(Cg *cg, LLVMValueRef begin, LLVMValueRef end, int64_t step) {
  LLVMValueRef f = cg_current(cg);
  CgLoop l = {.entry = LLVMGetInsertBlock(cg->builder),
              .head = cg_block(cg, f, "head"),
              .body = cg_block(cg, f, "body"),
              .after = cg_block(cg, f, "after"),
              .end = end};
  l.step = cg_int(cg, step);
  LLVMBuildBr(cg->builder, l.head);
  LLVMPositionBuilderAtEnd(cg->builder, l.head);
  l.index = LLVMBuildPhi(cg->builder, cg->i64, "i");
  LLVMAddIncoming(l.index, &begin, &l.entry, 1);
  LLVMValueRef more = LLVMBuildICmp(cg->builder, LLVMIntSLT, l.index, end, "");
  LLVMBuildCondBr(cg->builder, more, l.body, l.after);
  LLVMPositionBuilderAtEnd(cg->builder, l.body);
  return l;
}

LLVMValueRef cg_carry(Cg *cg, CgLoop *l, LLVMValueRef initial) {
  LLVMBasicBlockRef here = LLVMGetInsertBlock(cg->builder);
  LLVMPositionBuilderBefore(cg->builder, LLVMGetFirstInstruction(l->head));
  LLVMValueRef phi = LLVMBuildPhi(cg->builder, LLVMTypeOf(initial), "");
  LLVMAddIncoming(phi, &initial, &l->entry, 1);
  LLVMPositionBuilderAtEnd(cg->builder, here);
  l->carried[l->ncarried] = phi;
  l->next[l->ncarried++] = phi;
  return phi;
}

void cg_carry_next(CgLoop *l, LLVMValueRef carried, LLVMValueRef next) {
  for (int i = 0; i < l->ncarried; i++)
    if (l->carried[i] == carried) l->next[i] = next;
}

void cg_loop_end(Cg *cg, CgLoop *l) {
  LLVMValueRef next = LLVMBuildNSWAdd(cg->builder, l->index, l->step, "");
  LLVMBasicBlockRef latch = LLVMGetInsertBlock(cg->builder);
  LLVMBuildBr(cg->builder, l->head);
  LLVMAddIncoming(l->index, &next, &latch, 1);
  for (int i = 0; i < l->ncarried; i++) LLVMAddIncoming(l->carried[i], &l->next[i], &latch, 1);
  LLVMPositionBuilderAtEnd(cg->builder, l->after);
}

CgIf cg_if(Cg *cg, LLVMValueRef condition) {
  LLVMValueRef f = cg_current(cg);
  LLVMBasicBlockRef then = cg_block(cg, f, "then");
  CgIf i = {cg_block(cg, f, "endif")};
  LLVMBuildCondBr(cg->builder, condition, then, i.after);
  LLVMPositionBuilderAtEnd(cg->builder, then);
  return i;
}

void cg_if_end(Cg *cg, CgIf *i) {
  LLVMBuildBr(cg->builder, i->after);
  LLVMPositionBuilderAtEnd(cg->builder, i->after);
}

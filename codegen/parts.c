/* Each thread reads the whole module's bitcode into a context of its own, and emits the functions
 * of its share: the others are there, but "available externally", which emits nothing. Shares are
 * dealt by size, largest first. */
#include "codegen/parts.h"

#include <llvm-c/BitReader.h>
#include <llvm-c/BitWriter.h>
#include <llvm-c/DebugInfo.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
  LLVMMemoryBufferRef bitcode;
  LLVMTargetMachineRef machine;
  const int *owner; /* by function of the module that has a body */
  int part, functions;
  const char *path;
  char *error; /* malloc'ed by LLVM */
} Part;

/* ---- what the parts share ---- */

static bool is_local(LLVMValueRef v) {
  LLVMLinkage l = LLVMGetLinkage(v);
  return l == LLVMInternalLinkage || l == LLVMPrivateLinkage;
}

static void share(Cg *cg, LLVMValueRef v, int *unnamed) {
  size_t length;
  LLVMGetValueName2(v, &length);
  if (!length) {
    const char *name = arena_printf(cg->arena, "constant.%d", (*unnamed)++);
    LLVMSetValueName2(v, name, strlen(name));
  }
  if (!is_local(v)) return;
  LLVMSetLinkage(v, LLVMExternalLinkage);
  LLVMSetVisibility(v, LLVMHiddenVisibility);
}

static void share_all(Cg *cg) {
  int unnamed = 0;
  for (LLVMValueRef g = LLVMGetFirstGlobal(cg->module); g; g = LLVMGetNextGlobal(g))
    share(cg, g, &unnamed);
  for (LLVMValueRef f = LLVMGetFirstFunction(cg->module); f; f = LLVMGetNextFunction(f))
    if (LLVMCountBasicBlocks(f)) share(cg, f, &unnamed);
}

/* ---- dealing ---- */

typedef struct {
  int index;
  int64_t size;
} Share;

static int larger_first(const void *pa, const void *pb) {
  const Share *a = pa, *b = pb;
  return a->size != b->size ? (a->size < b->size ? 1 : -1) : a->index - b->index;
}

static int64_t instructions(LLVMValueRef f) {
  int64_t n = 0;
  for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(f); b; b = LLVMGetNextBasicBlock(b))
    for (LLVMValueRef i = LLVMGetFirstInstruction(b); i; i = LLVMGetNextInstruction(i)) n++;
  return n;
}

static int *deal(Cg *cg, int parts, int *functions) {
  int count = 0;
  for (LLVMValueRef f = LLVMGetFirstFunction(cg->module); f; f = LLVMGetNextFunction(f)) count++;
  Share *shares = ARENA_ARRAY(cg->arena, Share, count + 1);
  int *owner = ARENA_ARRAY(cg->arena, int, count + 1);
  int64_t *load = ARENA_ARRAY(cg->arena, int64_t, parts);
  int at = 0;
  for (LLVMValueRef f = LLVMGetFirstFunction(cg->module); f; f = LLVMGetNextFunction(f), at++)
    shares[at] = (Share){at, instructions(f)};
  qsort(shares, (size_t)count, sizeof *shares, larger_first);
  for (int i = 0; i < count; i++) {
    int least = 0;
    for (int p = 1; p < parts; p++)
      if (load[p] < load[least]) least = p;
    owner[shares[i].index] = least;
    load[least] += shares[i].size;
  }
  *functions = count;
  return owner;
}

/* ---- one thread ---- */

static void keep_share(const Part *p, LLVMModuleRef m) {
  int at = 0;
  for (LLVMValueRef f = LLVMGetFirstFunction(m); f && at < p->functions;
       f = LLVMGetNextFunction(f), at++)
    if (LLVMCountBasicBlocks(f) && p->owner[at] != p->part)
      LLVMSetLinkage(f, LLVMAvailableExternallyLinkage);
  for (LLVMValueRef g = LLVMGetFirstGlobal(m); p->part && g; g = LLVMGetNextGlobal(g))
    if (LLVMGetInitializer(g)) LLVMSetLinkage(g, LLVMAvailableExternallyLinkage);
}

static void *emit_part(void *argument) {
  Part *p = argument;
  LLVMContextRef context = LLVMContextCreate();
  LLVMModuleRef m = NULL;
  if (LLVMParseBitcodeInContext2(context, p->bitcode, &m)) {
    p->error = LLVMCreateMessage("the module's bitcode does not read back");
  } else {
    keep_share(p, m);
    LLVMTargetMachineEmitToFile(p->machine, m, p->path, LLVMObjectFile, &p->error);
    LLVMDisposeModule(m);
  }
  LLVMContextDispose(context);
  return NULL;
}

static LLVMTargetMachineRef same_machine(const Cg *cg) {
  static const LLVMCodeGenOptLevel level[] = {LLVMCodeGenLevelNone, LLVMCodeGenLevelLess,
                                              LLVMCodeGenLevelDefault, LLVMCodeGenLevelAggressive};
  char *triple = LLVMGetTargetMachineTriple(cg->machine),
       *cpu = LLVMGetTargetMachineCPU(cg->machine);
  char *features = LLVMGetTargetMachineFeatureString(cg->machine);
  LLVMTargetMachineRef m =
      LLVMCreateTargetMachine(LLVMGetTargetMachineTarget(cg->machine), triple, cpu, features,
                              level[cg->options.level & 3], LLVMRelocPIC, LLVMCodeModelDefault);
  LLVMDisposeMessage(triple);
  LLVMDisposeMessage(cpu);
  LLVMDisposeMessage(features);
  return m;
}

bool parts_emit(Cg *cg, int parts, const char *const *paths, const char **why) {
  share_all(cg);
  int functions;
  const int *owner = deal(cg, parts, &functions);
  Part *part = ARENA_ARRAY(cg->arena, Part, parts);
  pthread_t *thread = ARENA_ARRAY(cg->arena, pthread_t, parts);
  bool *started = ARENA_ARRAY(cg->arena, bool, parts);
  for (int i = 0; i < parts; i++) {
    part[i] = (Part){.bitcode = LLVMWriteBitcodeToMemoryBuffer(cg->module),
                     .machine = same_machine(cg),
                     .owner = owner,
                     .part = i,
                     .functions = functions,
                     .path = paths[i]};
    started[i] = i && !pthread_create(&thread[i], NULL, emit_part, &part[i]);
  }
  bool ok = true;
  for (int i = 0; i < parts; i++) {
    if (started[i])
      pthread_join(thread[i], NULL);
    else
      emit_part(&part[i]);
    if (part[i].error) {
      *why = arena_strdup(cg->arena, part[i].error);
      LLVMDisposeMessage(part[i].error);
      ok = false;
    }
    LLVMDisposeMemoryBuffer(part[i].bitcode);
    LLVMDisposeTargetMachine(part[i].machine);
  }
  return ok;
}

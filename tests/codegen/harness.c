#include "tests/codegen/harness.h"

#include <llvm-c/LLJIT.h>
#include <llvm-c/Orc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/vec.h"
#include "codegen/object.h"

/* Of functions alike only one stays as it was emitted; the others' names stand for it. */
typedef struct {
  LLVMValueRef function;
  const char *name;
} Symbol;

struct Harness {
  LLVMOrcLLJITRef jit;
  Cg *cg;
  VEC(Symbol) symbols;
};

typedef void KernelFunction(void **buffers, int64_t n, int64_t begin, int64_t end);

static _Noreturn void die(const char *what, const char *why) {
  fprintf(stderr, "harness: %s: %s\n", what, why ? why : "?");
  abort();
}

static void check(LLVMErrorRef error, const char *what) {
  if (error) die(what, LLVMGetErrorMessage(error));
}

Cg *harness_cg(const char *cpu, int real_bytes, int64_t max_batch) {
  return harness_cg_at(cpu, real_bytes, max_batch, 2);
}

Cg *harness_cg_at(const char *cpu, int real_bytes, int64_t max_batch, int level) {
  const char *why = NULL;
  CgOptions options = {.cpu = cpu, .real_bytes = real_bytes, .level = level};
  Cg *cg = cg_new(arena_new(), "test", &options, max_batch, &why);
  if (!cg) die(cpu, why);
  return cg;
}

void harness_cg_free(Cg *cg) {
  Arena *a = cg->arena;
  cg_free(cg);
  arena_free(a);
}

/* Internal functions have no symbol that a JIT could look up. */
static void export_functions(Harness *h) {
  LLVMValueRef f = LLVMGetFirstFunction(h->cg->module);
  for (size_t length; f; f = LLVMGetNextFunction(f)) {
    if (LLVMGetLinkage(f) != LLVMInternalLinkage) continue;
    LLVMSetLinkage(f, LLVMExternalLinkage);
    const char *name = arena_strdup(h->cg->arena, LLVMGetValueName2(f, &length));
    vec_push(h->cg->arena, &h->symbols, ((Symbol){f, name}));
  }
}

Harness *harness_new(Cg *cg) {
  const char *why = NULL;
  Harness *h = ARENA_NEW(cg->arena, Harness);
  h->cg = cg;
  export_functions(h);
  const char *dump = getenv("HARNESS_DUMP"); /* a path: the code as text, for reading */
  if (!object_optimise(cg, &why)) die("optimise", why);
  if (dump) object_emit(cg, OBJECT_LLVM, arena_printf(cg->arena, "%s.ll", dump), &why);
  if (dump) object_emit(cg, OBJECT_ASM, arena_printf(cg->arena, "%s.s", dump), &why);
  LLVMMemoryBufferRef object = object_memory(cg, OBJECT_OBJ, &why);
  if (!object) die("emit", why);
  check(LLVMOrcCreateLLJIT(&h->jit, NULL), "jit");
  LLVMOrcJITDylibRef lib = LLVMOrcLLJITGetMainJITDylib(h->jit);
  LLVMOrcDefinitionGeneratorRef process;
  check(LLVMOrcCreateDynamicLibrarySearchGeneratorForProcess(
            &process, LLVMOrcLLJITGetGlobalPrefix(h->jit), NULL, NULL),
        "process symbols");
  LLVMOrcJITDylibAddGenerator(lib, process);
  check(LLVMOrcLLJITAddObjectFile(h->jit, lib, object), "link");
  return h;
}

void harness_free(Harness *h) { check(LLVMOrcDisposeLLJIT(h->jit), "free"); }

void *harness_address(Harness *h, LLVMValueRef function) {
  LLVMOrcExecutorAddress at = 0;
  for (int i = 0; i < h->symbols.count; i++) {
    const Symbol *s = &h->symbols.at[i];
    if (s->function == function) check(LLVMOrcLLJITLookup(h->jit, &at, s->name), s->name);
  }
  if (!at) die("address", "no such function");
  return (void *)(uintptr_t)at;
}

int64_t harness_units(const Kernel *k, int64_t n) {
  int64_t per = k->per ? k->per : 1;
  return (k->parts ? k->parts : 1) * ((k->units.each * n + k->units.fixed + per - 1) / per);
}

static void run_pieces(KernelFunction *f, void **buffers, int64_t n, int64_t units, unsigned seed) {
  int64_t cut[10] = {0};
  int pieces = (int)(1 + rand_r(&seed) % 8), order[8];
  for (int i = 1; i < pieces; i++) cut[i] = units ? rand_r(&seed) % (units + 1) : 0;
  for (int i = 1; i < pieces; i++)
    for (int j = i; j > 1 && cut[j] < cut[j - 1]; j--) {
      int64_t t = cut[j];
      cut[j] = cut[j - 1];
      cut[j - 1] = t;
    }
  cut[pieces] = units;
  for (int i = 0; i < pieces; i++) {
    int j = (int)(rand_r(&seed) % (unsigned)(i + 1));
    order[i] = order[j];
    order[j] = i;
  }
  for (int i = 0; i < pieces; i++)
    if (cut[order[i]] < cut[order[i] + 1]) f(buffers, n, cut[order[i]], cut[order[i] + 1]);
}

void harness_run(Harness *h, const KernelList *list, void **buffers, int64_t n, unsigned seed) {
  for (int s = 0; s < list->count; s++) {
    KernelFunction *f = (KernelFunction *)(uintptr_t)harness_address(h, list->stage[s].function);
    int64_t units = harness_units(&list->stage[s], n);
    if (seed)
      run_pieces(f, buffers, n, units, seed + (unsigned)s);
    else if (units)
      f(buffers, n, 0, units);
  }
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double harness_time(Harness *h, const KernelList *list, void **buffers, int64_t n) {
  double best = 1e30, spent = 0;
  for (int i = 0; i < 5 || (spent < 0.2 && i < 1000); i++) {
    double t = now();
    harness_run(h, list, buffers, n, 0);
    t = now() - t;
    spent += t;
    if (t < best) best = t;
  }
  return best;
}

/* The pass pipeline is short on purpose: emitters write vector code that needs cleaning, not
 * transforming. It makes code as fast as LLVM's O3 in a sixth of the time. Layers of one shape have
 * kernels alike, and DenseNet-121 a hundred of them: merging these first is cheaper than cleaning
 * them all. Not with -g, where a kernel keeps the line of its own layer. */
#include "codegen/object.h"

#include <llvm-c/Analysis.h>
#include <llvm-c/BitWriter.h>
#include <llvm-c/ErrorHandling.h>
#include <llvm-c/Transforms/PassBuilder.h>
#include <pthread.h>

#define CLEAN \
  "function(early-cse<memssa>,instcombine<no-verify-fixpoint>,simplifycfg,early-cse<memssa>)"

/* Keeps a message of LLVM's in the arena. */
static bool failed(Cg *cg, char *message, const char **why) {
  *why = arena_strdup(cg->arena, message ? message : "unknown error");
  LLVMDisposeMessage(message);
  return false;
}

bool object_optimise(Cg *cg, const char **why) {
  char *message = NULL;
  if (LLVMVerifyModule(cg->module, LLVMReturnStatusAction, &message))
    return failed(cg, message, why);
  LLVMDisposeMessage(message);
  if (cg->options.level <= 0) return true;
  LLVMPassBuilderOptionsRef options = LLVMCreatePassBuilderOptions();
  LLVMErrorRef error = LLVMRunPasses(cg->module, cg->options.debug ? CLEAN : "mergefunc," CLEAN,
                                     cg->machine, options);
  LLVMDisposePassBuilderOptions(options);
  if (!error) return true;
  char *text = LLVMGetErrorMessage(error);
  *why = arena_strdup(cg->arena, text);
  LLVMDisposeErrorMessage(text);
  return false;
}

static LLVMCodeGenFileType file_type(ObjectKind kind) {
  return kind == OBJECT_ASM ? LLVMAssemblyFile : LLVMObjectFile;
}

static bool write_module(Cg *cg, ObjectKind kind, const char *path, const char **why) {
  char *message = NULL;
  if (kind == OBJECT_BITCODE) {
    if (!LLVMWriteBitcodeToFile(cg->module, path)) return true;
    *why = arena_printf(cg->arena, "cannot write '%s'", path);
    return false;
  }
  return !LLVMPrintModuleToFile(cg->module, path, &message) || failed(cg, message, why);
}

typedef struct {
  Cg *cg;
  ObjectKind kind;
  const char *path;
  char *message; /* LLVM's, of a failure */
  bool failed;
} Emission;

static void *emit_code(void *argument) {
  Emission *e = argument;
  e->failed = LLVMTargetMachineEmitToFile(e->cg->machine, e->cg->module, e->path,
                                          file_type(e->kind), &e->message);
  return NULL;
}

enum { STACK = 64 << 20 }; /* bytes: LLVM recurses along chains of instructions */

/* A thread has a heap of its own, where LLVM's many small objects lie close together, not in the
 * holes that building the module left: DenseNet-121 takes a tenth less. */
static bool write_machine_code(Cg *cg, ObjectKind kind, const char *path, const char **why) {
  Emission e = {.cg = cg, .kind = kind, .path = path};
  pthread_t thread;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, STACK);
  if (pthread_create(&thread, &attributes, emit_code, &e))
    emit_code(&e);
  else
    pthread_join(thread, NULL);
  pthread_attr_destroy(&attributes);
  return !e.failed || failed(cg, e.message, why);
}

bool object_emit(Cg *cg, ObjectKind kind, const char *path, const char **why) {
  bool machine_code = kind == OBJECT_OBJ || kind == OBJECT_ASM;
  return (machine_code ? write_machine_code : write_module)(cg, kind, path, why);
}

LLVMMemoryBufferRef object_memory(Cg *cg, ObjectKind kind, const char **why) {
  char *message = NULL;
  LLVMMemoryBufferRef out = NULL;
  if (LLVMTargetMachineEmitToMemoryBuffer(cg->machine, cg->module, file_type(kind), &message,
                                          &out)) {
    failed(cg, message, why);
    return NULL;
  }
  return out;
}

void object_on_fatal(void (*handler)(const char *reason)) { LLVMInstallFatalErrorHandler(handler); }

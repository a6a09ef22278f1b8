#include "codegen/debug.h"

#include <string.h>

#include "ir/op.h"

struct Debug {
  Cg *cg;
  Sources *sources;
  LLVMDIBuilderRef builder;
  LLVMMetadataRef unit, type;
  LLVMMetadataRef *files; /* by source file */
  LLVMValueRef last;      /* function of the module already seen */
};

static LLVMMetadataRef make_file(Debug *d, const char *path) {
  const char *slash = strrchr(path, '/');
  const char *name = slash ? slash + 1 : path;
  size_t folder = slash ? (size_t)(slash - path) : 0;
  return LLVMDIBuilderCreateFile(d->builder, name, strlen(name), folder ? path : ".",
                                 folder ? folder : 1);
}

static LLVMMetadataRef file_at(Debug *d, int file) {
  if (!d->sources || file >= d->sources->files.count) file = 0;
  if (!d->files[file]) {
    const char *path = file && d->sources ? d->sources->files.at[file].path : "network";
    d->files[file] = make_file(d, path);
  }
  return d->files[file];
}

static void add_flag(Cg *cg, const char *name, int value) {
  LLVMMetadataRef v = LLVMValueAsMetadata(LLVMConstInt(cg->i32, (unsigned)value, 0));
  LLVMAddModuleFlag(cg->module, LLVMModuleFlagBehaviorWarning, name, strlen(name), v);
}

Debug *debug_new(Cg *cg, const Graph *source) {
  static const char producer[] = "dlc";
  if (!cg->options.debug) return NULL;
  Debug *d = ARENA_NEW(cg->arena, Debug);
  *d = (Debug){.cg = cg, .sources = source->sources, .builder = LLVMCreateDIBuilder(cg->module)};
  d->files = ARENA_ARRAY(cg->arena, LLVMMetadataRef,
                         (source->sources ? source->sources->files.count : 0) + 1);
  int main_file = 0; /* where the network itself stands, rather than a file with blocks */
  for (int i = 0; i < source->nodes.count && !main_file; i++)
    main_file = source->nodes.at[i]->span.file;
  d->unit = LLVMDIBuilderCreateCompileUnit(
      d->builder, LLVMDWARFSourceLanguageC, file_at(d, main_file), producer, sizeof producer - 1, 1,
      "", 0, 0, "", 0, LLVMDWARFEmissionFull, 0, 0, 0, "", 0, "", 0);
  d->type =
      LLVMDIBuilderCreateSubroutineType(d->builder, file_at(d, main_file), NULL, 0, LLVMDIFlagZero);
  add_flag(cg, "Debug Info Version", (int)LLVMDebugMetadataVersion());
  add_flag(cg, "Dwarf Version", 4);
  return d;
}

void debug_finish(Debug *d) {
  if (!d) return;
  LLVMDIBuilderFinalize(d->builder);
  LLVMDisposeDIBuilder(d->builder);
}

static void set_lines(LLVMValueRef function, LLVMMetadataRef location) {
  for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(function); b; b = LLVMGetNextBasicBlock(b))
    for (LLVMValueRef i = LLVMGetFirstInstruction(b); i; i = LLVMGetNextInstruction(i))
      if (!LLVMInstructionGetDebugLoc(i)) LLVMInstructionSetDebugLoc(i, location);
}

void debug_function(Debug *d, LLVMValueRef function, const char *name, Span at) {
  if (!d) return;
  unsigned line = at.line > 0 ? (unsigned)at.line : 1;
  LLVMMetadataRef sub = LLVMGetSubprogram(function);
  if (!sub) {
    sub = LLVMDIBuilderCreateFunction(d->builder, file_at(d, at.file), name, strlen(name), "", 0,
                                      file_at(d, at.file), line, d->type, 1, 1, line,
                                      LLVMDIFlagZero, 1);
    LLVMSetSubprogram(function, sub);
  }
  unsigned column = at.col > 0 ? (unsigned)at.col : 0;
  set_lines(function, LLVMDIBuilderCreateDebugLocation(d->cg->context, line, column, sub, NULL));
}

static bool same_place(const Span *a, const Span *b) {
  return a->file == b->file && a->line == b->line && a->col == b->col;
}

/* The label of the layer at n's place: a gradient has its layer's place, but no label of its own.
 */
static const char *layer_label(const Graph *g, const Node *n) {
  for (int i = 0; !n->label && i < g->nodes.count; i++)
    if (g->nodes.at[i]->label && same_place(&g->nodes.at[i]->span, &n->span))
      return g->nodes.at[i]->label;
  return n->label;
}

/* "conv1 conv_input": the layer, where it has a name, and the operation. */
void debug_kernels(Debug *d, const Graph *g, const Node *n) {
  if (!d) return;
  const char *label = layer_label(g, n), *op = op_info[n->op].name;
  const char *name = label ? arena_printf(d->cg->arena, "%s %s", label, op) : op;
  LLVMValueRef f = d->last ? LLVMGetNextFunction(d->last) : LLVMGetFirstFunction(d->cg->module);
  for (; f; f = LLVMGetNextFunction(f)) {
    d->last = f;
    bool kernel = LLVMCountBasicBlocks(f) && LLVMCountParams(f) == 4 && !LLVMGetSubprogram(f);
    if (kernel) debug_function(d, f, name, n->span);
  }
}

/* Words as class labels. Which word is which class is learned from the training data and kept in
 * the metadata of the weights, so that other data and later commands agree: for each tensor whose
 * labels are words the entry classes.TENSOR, a JSON list of the words by class. */
#ifndef DLC_DLRUN_WORDS_H
#define DLC_DLRUN_WORDS_H

#include "base/arena.h"
#include "base/vec.h"
#include "dlrun/fault.h"
#include "runtime/dlc.h"

/* Different texts, each with a number. */
typedef struct {
  VEC(const char *) text; /* by number */
  int *slot;              /* open hashing: number + 1, or 0 */
  int64_t slots;
} WordList;

/* The number of a text, or -1. */
int words_find(const WordList *w, const char *text);
/* The same; a new text gets the next number. */
int words_add(Arena *a, WordList *w, const char *text);

typedef struct {
  Arena *arena;
  const dlc_model *model;
  WordList *of;     /* one a tensor, inputs then targets; empty: its classes are numbers, so far */
  const char *from; /* the file of weights that the words come from, or NULL */
} Words;

Words words_new(Arena *a, const dlc_model *m);
/* Takes the words that the weights' metadata names, if any. */
bool words_load(Words *w, const char *weights, Fault *f);
/* The pairs for dlc_api.set_metadata; *count is 0 where nothing is a word. */
const char *const *words_metadata(const Words *w, int32_t *count);
/* The names of the classes of target or input `name`, or NULL. */
const char *const *words_names(const Words *w, const char *name);
const dlc_tensor *words_tensor(const Words *w, int32_t i);
/* Whether metadata can hold the text: it must be UTF-8. */
bool words_fit(const char *text);

#endif

/* PNG: one file is one sample. It is read in the colours that the network takes (one channel: grey;
 * three: red, green, blue; four: with opacity), 8 bits each, as rows of pixels; files of one shape
 * are joined. Its size is compared with the network's image before anything is decoded. */
#include <png.h>

#include "dlrun/data/raw.h"

const char raw_png[] = "PNG";

/* The input that takes pictures: the first of [C, H, W] with 1, 3 or 4 channels, or [H, W]. */
static const dlc_tensor *image_input(const dlc_model *m, int64_t dim[3]) {
  for (int32_t i = 0; i < m->input_count; i++) {
    const dlc_tensor *t = &m->inputs[i];
    int64_t channels = t->rank == 3 ? t->dim[0] : 1;
    if (t->rank < 2 || t->rank > 3 || t->classes || channels < 1 || channels > 4 || channels == 2)
      continue;
    dim[0] = t->dim[t->rank - 2];
    dim[1] = t->dim[t->rank - 1];
    dim[2] = channels;
    return t;
  }
  return NULL;
}

static bool decode(RawSet *s, const char *path, png_image *image, const int64_t dim[3], Fault *f) {
  static const png_uint_32 format[] = {
      [1] = PNG_FORMAT_GRAY, [3] = PNG_FORMAT_RGB, [4] = PNG_FORMAT_RGBA};
  image->format = format[dim[2]];
  RawArray *r = raw_add(s, NULL, path, RAW_U8, 4, (int64_t[]){1, dim[0], dim[1], dim[2]}, f);
  if (!r) return false;
  r->kind = raw_png;
  static const png_color black = {0, 0, 0}; /* behind what is not opaque */
  return png_image_finish_read(image, &black, r->data, 0, NULL) ||
         fault(f, "%s: %s", path, image->message);
}

bool read_png(RawSet *s, const char *path, Bytes b, Fault *f) {
  png_image image = {.version = PNG_IMAGE_VERSION};
  int64_t dim[3];
  const dlc_tensor *t = image_input(s->model, dim);
  if (!t) return fault(f, "%s: the network has no input that takes a picture", path);
  if (!png_image_begin_read_from_memory(&image, b.at, b.left))
    return fault(f, "%s: %s", path, image.message);
  bool fine = image.height == dim[0] && image.width == dim[1];
  if (!fine)
    fault(f, "%s: a picture of %u x %u pixels; %s takes %lld x %lld", path, (unsigned)image.width,
          (unsigned)image.height, t->name, (long long)dim[1], (long long)dim[0]);
  fine = fine && decode(s, path, &image, dim, f);
  png_image_free(&image);
  return fine;
}

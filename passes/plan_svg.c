/* --emit=plan as a picture: kernels to the right, the arena's bytes upwards. A box is a result,
 * from the kernel that writes it to the last that reads it; the line above is all that lives. */
#include <string.h>

#include "passes/plan.h"

enum { LEFT = 70, TOP = 44, WIDTH = 1000, HEIGHT = 460, BOTTOM = 50, TICKS = 4 };

typedef struct {
  const Graph *graph;
  const Plan *plan;
  Str *out;
  int64_t arena; /* bytes at the top */
  int real_bytes;
} Picture;

static double x_of(const Picture *p, int64_t kernel) {
  int64_t last = p->plan->ngroups + 1;
  if (kernel > last) kernel = last;
  return LEFT + (double)WIDTH * (double)(kernel - 1) / (double)last;
}

static double y_of(const Picture *p, int64_t byte) {
  return TOP + HEIGHT * (1 - (double)byte / (double)(p->arena > 0 ? p->arena : 1));
}

static int64_t bytes_of(const Picture *p, const Node *n) {
  return plan_bytes(n, p->graph->train.batch, p->real_bytes);
}

static void put_escaped(Str *out, const char *s) {
  for (; *s; s++) {
    if (*s == '<' || *s == '&' || (unsigned char)*s < ' ')
      str_printf(out, "&#%d;", (unsigned char)*s < ' ' ? ' ' : *s);
    else
      str_putn(out, s, 1);
  }
}

static void put_text(const Picture *p, double x, double y, const char *anchor, const char *text) {
  str_printf(p->out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", x, y, anchor);
  put_escaped(p->out, text);
  str_put(p->out, "</text>\n");
}

/* Results of the forward part that the backward part reads are what training keeps. */
static const char *class_of(const Picture *p, const Node *n, int boundary) {
  if (n->group > boundary) return "back";
  return p->plan->end[n->id] > boundary ? "kept" : "forth";
}

static void put_box(const Picture *p, const Node *n, int boundary) {
  double x = x_of(p, n->group), width = x_of(p, p->plan->end[n->id] + 1) - x;
  double y = y_of(p, n->offset + bytes_of(p, n)), height = y_of(p, n->offset) - y;
  if (height < 0.25) return;
  str_printf(p->out,
             "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"><title>",
             class_of(p, n, boundary), x, y, width, height);
  put_escaped(p->out, op_info[n->op].name);
  if (n->label) str_put(p->out, " ");
  if (n->label) put_escaped(p->out, n->label);
  str_printf(p->out, ": %lld bytes, kernels %d to %lld</title></rect>\n", (long long)bytes_of(p, n),
             n->group, (long long)p->plan->end[n->id]);
}

static bool is_drawn(const Picture *p, const Node *n) {
  return n->offset >= 0 && p->plan->stored[n->id] && !p->plan->placed[n->id];
}

static void put_live(const Picture *p, Arena *scratch) {
  int last = p->plan->ngroups;
  int64_t *top = ARENA_ARRAY(scratch, int64_t, last + 3);
  for (int i = 0; i < p->graph->nodes.count; i++) {
    const Node *n = p->graph->nodes.at[i];
    if (!is_drawn(p, n)) continue;
    top[n->group] += bytes_of(p, n);
    int64_t end = p->plan->end[i] < last ? p->plan->end[i] + 1 : last + 1;
    top[end] -= bytes_of(p, n);
  }
  str_put(p->out, "<path class=\"live\" d=\"");
  for (int k = 1; k <= last; k++) {
    top[k] += top[k - 1];
    int64_t shown = top[k] < p->arena ? top[k] : p->arena; /* what writes in place counts twice */
    if (k == 1 || top[k] != top[k - 1])
      str_printf(p->out, "%s%.1f %.1f", k == 1 ? "M" : "L", x_of(p, k), y_of(p, shown));
  }
  str_put(p->out, "\"/>\n");
}

static void put_axes(const Picture *p, Arena *scratch) {
  for (int i = 0; i <= TICKS; i++) {
    double y = TOP + HEIGHT * (1 - (double)i / TICKS);
    str_printf(p->out, "<path class=\"axis\" d=\"M%d %.1fH%d\"/>\n", LEFT, y, LEFT + WIDTH);
    put_text(p, LEFT - 6, y + 4, "end",
             arena_printf(scratch, "%.3g MB", (double)p->arena * i / TICKS / 1e6));
    int kernel = 1 + p->plan->ngroups * i / TICKS;
    put_text(p, x_of(p, kernel), TOP + HEIGHT + 18, "middle", arena_printf(scratch, "%d", kernel));
  }
  put_text(p, LEFT + WIDTH / 2.0, TOP + HEIGHT + 38, "middle", "kernel");
  const Graph *g = p->graph;
  put_text(
      p, LEFT, 26, "start",
      arena_printf(scratch, "%s, %s: arena of %lld bytes at batch %lld", g->name,
                   g->program ? g->program : "", (long long)p->arena, (long long)g->train.batch));
  put_text(p, LEFT + WIDTH, 26, "end",
           "blue: forward, orange: kept for the way back, green: backward, line: live");
}

void plan_svg(const Graph *g, int64_t arena, Str *out, Arena *scratch, int real_bytes) {
  Picture p = {.graph = g,
               .plan = plan_read(g, scratch, real_bytes),
               .out = out,
               .arena = arena,
               .real_bytes = real_bytes};
  int width = LEFT + WIDTH + 30, height = TOP + HEIGHT + BOTTOM,
      boundary = plan_boundary(g, p.plan);
  str_printf(out,
             "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" "
             "height=\"%d\">\n<style>text{font:12px system-ui,sans-serif;fill:#444}"
             ".axis{stroke:#ddd}.live{fill:none;stroke:#222}.forth{fill:#92c5de}"
             ".kept{fill:#f4a582}.back{fill:#a6d96a}"
             "rect{stroke:#fff;stroke-width:.3}</style>\n"
             "<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n",
             width, height, width, height);
  put_axes(&p, scratch);
  for (int i = 0; i < g->nodes.count; i++)
    if (is_drawn(&p, g->nodes.at[i])) put_box(&p, g->nodes.at[i], boundary);
  put_live(&p, scratch);
  str_put(out, "</svg>\n");
}

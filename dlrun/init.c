/* dlrun init: weights as training would start from. */
#include "dlrun/commands.h"
#include "dlrun/interrupt.h"
#include "dlrun/tool.h"

int command_init(int argc, char **argv) {
  const char *model, *out = NULL;
  uint64_t seed = 0;
  int status;
  const Opt opts[] = {
      {"--seed", OPT_SEED, &seed, "S", "seed of the initial values (default 0)", false},
      {"-o", OPT_TEXT, &out, "FILE", "the safetensors file to write", true},
  };
  const Cli cli = {"init", "Write freshly initialised weights as safetensors.", opts,
                   OPT_LIST_COUNT(opts)};
  if (!cli_parse(&cli, argc, argv, &model, &status)) return status;
  Tool t;
  bool fine = tool_open(&t, model) && tool_writes(&t, "-o", out) &&
              tool_session(&t, DLC_INFERENCE, 1, seed);
  interrupt_hold();
  fine = fine && tool_ok(&t, t.api->save(t.session, out));
  interrupt_release();
  return tool_close(&t, fine);
}

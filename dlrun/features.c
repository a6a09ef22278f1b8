/* dlrun features: pictures of feature maps need outputs that a compiled network does not offer yet.
 */
#include "dlrun/commands.h"
#include "dlrun/tool.h"

int command_features(int argc, char **argv) {
  const char *model;
  int status;
  const Cli cli = {"features", "Draw feature maps (not available in this version).", NULL, 0};
  if (!cli_parse(&cli, argc, argv, &model, &status)) return status;
  Tool t;
  bool fine =
      tool_open(&t, model) && fault(&t.fault, "features: not available in this version of dlrun");
  return tool_close(&t, fine);
}

/* placeholder until the folder's first file */ extern int dlc_runtime_empty; int dlc_runtime_empty;

/* placeholder until the folder's first file */ extern int dlc_passes_empty; int dlc_passes_empty;

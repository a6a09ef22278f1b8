/* placeholder until the folder's first file */ extern int dlc_codegen_empty; int dlc_codegen_empty;

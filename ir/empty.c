/* placeholder until the folder's first file */ extern int dlc_ir_empty; int dlc_ir_empty;

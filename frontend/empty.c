/* placeholder until the folder's first file */ extern int dlc_frontend_empty; int dlc_frontend_empty;

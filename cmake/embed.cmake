# cmake -DIN=text -DOUT=file.c -DNAME=symbol -P embed.cmake: a text file as a NUL-terminated C array.
file(READ ${IN} bytes HEX)
string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
file(WRITE ${OUT} "extern const char ${NAME}[];\nconst char ${NAME}[] = {${bytes}0};\n")

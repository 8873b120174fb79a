/* Preloaded into the program: a compiler that takes the text $MISCOMPILE_FROM for $MISCOMPILE_TO wherever it stands. */
#include <CL/cl.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef cl_program create_function(cl_context context, cl_uint count, const char **texts, const size_t *lengths,
                                   cl_int *code);

static char *replaced(const char *text, const char *from, const char *to)
{
    size_t size;
    char *result;
    FILE *stream = open_memstream(&result, &size);
    for (const char *at; (at = strstr(text, from)); text = at + strlen(from))
        fprintf(stream, "%.*s%s", (int)(at - text), text, to);
    fputs(text, stream);
    fclose(stream);
    return result;
}

/* The library hands over one text that ends with a zero; CLBlast's are left alone. */
cl_program clCreateProgramWithSource(cl_context context, cl_uint count, const char **texts, const size_t *lengths,
                                     cl_int *code)
{
    create_function *create;
    void *symbol = dlsym(RTLD_NEXT, "clCreateProgramWithSource");
    memcpy(&create, &symbol, sizeof create);
    const char *from = getenv("MISCOMPILE_FROM"), *to = getenv("MISCOMPILE_TO");
    if (!from || !to || count != 1 || lengths)
        return create(context, count, texts, lengths, code);
    char *text = replaced(texts[0], from, to);
    cl_program program = create(context, 1, (const char **)&text, NULL, code);
    free(text);
    return program;
}

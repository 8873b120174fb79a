/* Data in tables of text. */
#include "data/reader.h"

#include "base/csv.h"
#include "base/error.h"

#include <stdlib.h>

static int set_samples(fcl_csv *table, const fcl_reading *reading, fcl_dataset *dataset)
{
    fcl_npy array = {.kind = 'f', .item_size = sizeof(float), .shape = table->numbers->shape};
    array.big_endian = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__;
    array.data = (const uint8_t *)table->numbers->data;
    return fcl_dataset_set_samples(dataset, &array, reading->options, reading->path);
}

int fcl_dataset_read_csv(const fcl_reading *reading, fcl_dataset *dataset)
{
    const fcl_dataset_options *options = reading->options;
    const char *const guesses[] = {options->label_guess ? options->label_guess : "label", "label", "labels",
                                   NULL};
    fcl_csv table;
    FCL_TRY(fcl_csv_read_table(reading->path,
                               &(fcl_csv_options){options->label_column, FCL_NO_LABEL, guesses}, &table));
    int status = set_samples(&table, reading, dataset);
    if (status == FCL_OK && table.labeled && !options->unlabeled)
        status = fcl_dataset_set_words(dataset, &table.labels, reading->path);
    dataset->note = table.note;
    table.note = NULL;
    fcl_csv_free(&table);
    return status;
}

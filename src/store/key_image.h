/*
 * key_image.h
 *	  Keeps the images of keys consistent with the tables.
 */
#ifndef AK_KEY_IMAGE_H
#define AK_KEY_IMAGE_H

#include "postgres.h"

extern void ak_key_image_make(Datum keys);

#endif							/* AK_KEY_IMAGE_H */

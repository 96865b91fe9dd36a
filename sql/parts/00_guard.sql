\echo Use "CREATE EXTENSION apikeys" to load this file. \quit

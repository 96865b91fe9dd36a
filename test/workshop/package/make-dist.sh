#!/usr/bin/env bash
# make-dist.sh: makes tmp/dist/apikeys-VERSION.zip, which is what PGXN wants: all
# files that are committed, except those that .gitattributes leaves out, in one
# folder of that name.  Where this is no git checkout: all that is not built.
set -euo pipefail
. "$(dirname "$0")/../../lib.sh"

cd "$TOP"
name=apikeys-$(sed -n "s/^default_version = '\(.*\)'/\1/p" apikeys.control)
zip=$TOP/tmp/dist/$name.zip
rm -rf tmp/dist
mkdir -p tmp/dist
if is_checkout; then
  in_git archive --prefix="$name/" -o "$zip" HEAD
else
  folder=$(mktemp -d)
  trap 'rm -rf "$folder"' EXIT
  mkdir "$folder/$name"
  list_sources | tar --null --files-from=- -cf - | tar -C "$folder/$name" -xf -
  (cd "$folder" && zip -q -r -X "$zip" "$name")
fi
say "$zip"

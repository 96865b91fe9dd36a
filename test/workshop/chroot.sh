# shellcheck shell=bash
# chroot.sh: chroots of Debian with PostgreSQL in them, kept for a while.  To be
# sourced after lib.sh, by what takes root to run.

MAX_AGE=${MAX_AGE:-14}

# Where the distribution's own packages come from.
find_mirror() {
  # shellcheck disable=SC2016 # apt's, not the shell's
  apt-get indextargets --format '$(ORIGIN) $(LABEL) $(REPO_URI)' \
    'Created-By: Packages' |
    awk '$1 == "Debian" && $2 == "Debian" && !found { found = 1; print $3 }'
}

# chroot_is_fresh ROOT: is it there, and not older than MAX_AGE days?
chroot_is_fresh() {
  [ -n "$(find "$1.made" -mtime "-$MAX_AGE" 2>/dev/null)" ]
}

# chroot_make ROOT SUITE PACKAGES MAJORS SOURCE…: with a folder /apikeys to mount
# things on.  The headers of the servers MAJORS are only unpacked: as packages
# they would bring along a compiler for the bitcode of JIT.  Of Debian's
# experimental packages, where that is a source, only PostgreSQL's are taken.
chroot_make() {
  local root=$1 suite=$2 packages=$3 headers='' major
  for major in $4; do headers+=" postgresql-server-dev-$major"; done
  rm -rf "$root.new" "$root" "$root.made"
  # shellcheck disable=SC2016 # $1 is for mmdebstrap's shell, $deb for another
  quietly "chroot-$(basename "$root")" mmdebstrap --mode=root \
    --variant=minbase --aptopt='Acquire::Check-Valid-Until "false"' \
    --aptopt='APT::Install-Recommends "false"' \
    --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    --include="$packages" \
    --setup-hook='mkdir -p "$1/etc/postgresql-common/createcluster.d"
      echo "create_main_cluster = false" \
        >"$1/etc/postgresql-common/createcluster.d/apikeys.conf"
      mkdir -p "$1/apikeys" "$1/etc/apt/preferences.d"
      printf "%s\n" "Package: src:postgresql-common src:postgresql-??" \
        "Pin: release a=experimental" "Pin-Priority: 600" \
        >"$1/etc/apt/preferences.d/apikeys"' \
    --customize-hook="chroot \"\$1\" sh -c 'cd /tmp &&
      apt-get -qq update && apt-get -qq download$headers &&
      for deb in *.deb; do dpkg -x \"\$deb\" /; done && rm -f *.deb'" \
    "$suite" "$root.new" "${@:5}"
  mv "$root.new" "$root"
  touch "$root.made"
}

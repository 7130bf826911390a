# shellcheck shell=sh
# Pack the host's own system as a release's base.txz, less what no jail needs and what makes it that host.
# Usage: sh pack_base.sh DIRECTORY, which gets base.txz and MANIFEST, unless it has them.
set -eu
dist=$1
[ ! -e "$dist/MANIFEST" ] || exit 0
mkdir -p "$dist"

there() { while read -r name; do [ ! -e "/$name" ] || printf '%s\n' "$name"; done; }

printf '%s\n' bin lib libexec sbin etc root usr/bin usr/lib usr/libexec usr/sbin usr/share/misc usr/share/zoneinfo \
	usr/share/locale COPYRIGHT | there > "$dist/whole"
{
	printf '%s\n' dev proc tmp mnt media home usr/local usr/obj
	find -x /var -maxdepth 2 -type d ! -path '/var/tmp/*' ! -name 'cellblock*' | sed 's|^/||'
} | there > "$dist/empty"
tar -ncf "$dist/empty.tar" -C / -T "$dist/empty"
tar --zstd -cf "$dist/base.txz" --exclude 'etc/ssh/ssh_host*' --exclude etc/rc.conf --exclude 'etc/rc.conf.d/*' \
	--exclude etc/fstab --exclude 'etc/jail.conf*' --exclude root/.ssh --exclude usr/lib/debug -C / -T "$dist/whole" "@$dist/empty.tar"
rm "$dist/whole" "$dist/empty" "$dist/empty.tar"
printf 'base.txz\t%s\t1\tbase\t"Base system (MANDATORY)"\ton\n' "$(sha256 -q "$dist/base.txz")" > "$dist/MANIFEST"

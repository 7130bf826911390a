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
# What makes the host that host, and the compiler, which is most of a release.
cat > "$dist/left_out" <<-'END'
	etc/ssh/ssh_host*
	etc/rc.conf
	etc/rc.conf.d/*
	etc/fstab
	etc/jail.conf*
	root/.ssh
	usr/lib/debug
	usr/lib/clang
	usr/lib/*.a
	usr/lib/libprivatellvm*
	usr/lib/libprivatelldb*
	usr/lib/libprivateclang*
	usr/bin/*clang*
	usr/bin/*lldb*
	usr/bin/*lld
	usr/bin/llvm-*
	usr/bin/cc
	usr/bin/c++
	usr/bin/CC
	usr/bin/cpp
END
tar --zstd -cf "$dist/base.txz" -X "$dist/left_out" -C / -T "$dist/whole" "@$dist/empty.tar"
rm "$dist/whole" "$dist/empty" "$dist/left_out" "$dist/empty.tar"
printf 'base.txz\t%s\t1\tbase\t"Base system (MANDATORY)"\ton\n' "$(sha256 -q "$dist/base.txz")" > "$dist/MANIFEST"

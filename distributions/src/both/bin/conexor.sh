#!/bin/sh
# Starts @program@. Needs Java 17 or later and nothing else; see README.
set -u

# The directory above this script, also when it was called through a symbolic link.
script=$0
while [ -h "$script" ]; do
  target=$(readlink "$script")
  case $target in
    /*) script=$target ;;
    *) script=$(dirname "$script")/$target ;;
  esac
done
home=$(cd "$(dirname "$script")/.." && pwd -P) || exit 1

if [ -n "${JAVA_HOME:-}" ]; then
  java=$JAVA_HOME/bin/java
  [ -x "$java" ] || { echo "@program@: JAVA_HOME is $JAVA_HOME, but there is no bin/java in it" >&2; exit 1; }
else
  java=$(command -v java) || { echo "@program@: no java found; install Java 17 or later, or set JAVA_HOME" >&2; exit 1; }
fi

# The release file answers without starting a JVM, which would cost every start a quarter of a second.
version=
real=$java
while [ -h "$real" ]; do
  target=$(readlink "$real")
  case $target in
    /*) real=$target ;;
    *) real=$(dirname "$real")/$target ;;
  esac
done
release=$(dirname "$(dirname "$real")")/release
[ -r "$release" ] && version=$(sed -n 's/^JAVA_VERSION="\([^"]*\)".*/\1/p' "$release")
[ -n "$version" ] || version=$("$java" -version 2>&1 | sed -n 's/.* version "\([^"]*\)".*/\1/p')
major=${version%%[!0-9]*}
if [ "${major:-0}" -lt 17 ]; then
  echo "@program@: needs Java 17 or later, but $java is ${version:-of an unknown version}" >&2
  exit 1
fi

# Heap and collector; what is in JAVA_OPTS comes later on the command line and therefore wins.
defaults="@jvm.options@"
[ "${1:-}" = run ] || defaults="-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xmx128m"

# shellcheck disable=SC2086 # several options in one variable are meant to be split
exec "$java" $defaults ${JAVA_OPTS:-} \
  -Dconexor.home="$home" -Dconexor.program=@program@ -Dconexor.features="@default.features@" \
  -cp "$home/lib/*" io.conexor.runtime.Main "$@"

#!/usr/bin/env bash
# ./conexor bench NAME [-Dbench.KEY=VALUE ...]: runs one bench and writes target/bench/NAME.json.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

usage() {
  cat <<'TXT'
usage: ./conexor bench NAME [OPTION ...]

  relay       one row as an MCP tool call through server and agent, beside MCP Toolbox and JDBC
  session     sessions in Redis, Sentinel and Cluster, beside raw commands
  database    the PostgreSQL router beside a bare HikariCP: per statement, and after a failover
  backplane   messages between backends over Redis, beside raw PUBLISH and XADD

Rows are written to target/bench/NAME.json. docs/benchmarks.md has the options and past figures.
TXT
}

name=${1:-}
case $name in
  relay | session | backplane | database) shift ;;
  '' | help | --help | -h) usage; exit 0 ;;
  *) usage >&2; exit 2 ;;
esac

module=itests/bench
if [ ! -d $module/target/lib ] ||
  [ -n "$(find pom.xml $module/pom.xml $module/src itests/lab/src/main -newer $module/target/lib -type f -print -quit)" ]; then
  echo "building the bench ..." >&2
  mvn --batch-mode --no-transfer-progress --quiet -DskipTests -pl $module -am package
  touch $module/target/lib
fi
exec java -Xmx1g -cp "$module/target/classes:$module/target/lib/*" "$@" io.conexor.itests.bench.Bench "$name"

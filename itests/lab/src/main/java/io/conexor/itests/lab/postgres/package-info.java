/**
 * PostgreSQL servers as real processes: replication, Patroni, repmgr, poolers, and their faults.
 */
@NullMarked
package io.conexor.itests.lab.postgres;

import org.jspecify.annotations.NullMarked;

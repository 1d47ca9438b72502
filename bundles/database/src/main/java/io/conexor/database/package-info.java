/** Replica-aware router and failover client for PostgreSQL. */
@NullMarked
package io.conexor.database;

import org.jspecify.annotations.NullMarked;

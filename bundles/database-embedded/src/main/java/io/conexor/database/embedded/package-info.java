/** A real PostgreSQL that the server starts itself, for one machine. */
@NullMarked
package io.conexor.database.embedded;

import org.jspecify.annotations.NullMarked;

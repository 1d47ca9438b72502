/** Gogo commands, and the loopback door to them. */
@NullMarked
package io.conexor.shell;

import org.jspecify.annotations.NullMarked;

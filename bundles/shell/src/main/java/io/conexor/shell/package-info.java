/**
 * The management shell: Gogo commands about Conexor, and a door on the loopback interface to them.
 *
 * <p>The {@code feature:} commands are the launcher's own, because only it knows the features.
 */
@NullMarked
package io.conexor.shell;

import org.jspecify.annotations.NullMarked;

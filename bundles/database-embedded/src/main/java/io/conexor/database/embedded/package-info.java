/**
 * A real PostgreSQL that the server starts itself, for one machine.
 *
 * <pre>
 *   data.dir/                     owned by the server's own user, 0711 when that is root
 *     lock                        held while a server uses this folder
 *     password, port              0600; survive restarts; password-NAME for each reader
 *     installation-17.10.0/       the unpacked binaries
 *     data/                       the cluster, owned by the unprivileged user
 * </pre>
 *
 * One thread prepares the folder, starts the postmaster, waits for its end and starts it again. The
 * postmaster gets SIGINT from the kernel when that thread goes, so a killed JVM leaves no orphan
 * where util-linux is installed; elsewhere the next start stops the leftover, found by its pid file
 * and recognised by its working folder.
 */
@NullMarked
package io.conexor.database.embedded;

import org.jspecify.annotations.NullMarked;

/**
 * {@code ./conexor demo}: a sample database, a server, an agent, a call through all three.
 *
 * <pre>
 *   DATA/                     target/demo, or --data DIR
 *     lock                    held while a demo uses this folder
 *     secrets.json            0600; the keys, which the server shows once
 *     server.properties       what the server was started with; beside it server.log
 *     agent.properties        the same for the agent
 *     postgresql/             PostgreSQL's programs, for the two of them
 *     sample/                 the sample database, a PostgreSQL of its own
 *     server/, agent/         their data
 * </pre>
 *
 * Server and agent are processes started from their distributions, with nothing an operator could
 * not do. All that is written stays and is used again.
 */
@NullMarked
package io.conexor.demo;

import org.jspecify.annotations.NullMarked;

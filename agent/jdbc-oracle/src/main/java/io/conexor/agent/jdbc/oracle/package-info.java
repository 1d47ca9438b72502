/**
 * Carries Oracle's JDBC driver, which is found by its {@code META-INF/services} entry; there is no
 * code.
 */
@NullMarked
package io.conexor.agent.jdbc.oracle;

import org.jspecify.annotations.NullMarked;

/** Runs allowed statements on local databases. */
@NullMarked
package io.conexor.agent.executor;

import org.jspecify.annotations.NullMarked;

/** Which agent is attached to which backend, and how it is doing. */
@NullMarked
package io.conexor.agent.registry;

import org.jspecify.annotations.NullMarked;

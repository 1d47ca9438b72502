/** Keeps links from an agent to several backends. */
@NullMarked
package io.conexor.agent.link;

import org.jspecify.annotations.NullMarked;

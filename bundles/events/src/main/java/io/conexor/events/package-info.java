/** What happens, as it happens, for dashboards: a hub of what the directory of agents knows. */
@NullMarked
package io.conexor.events;

import org.jspecify.annotations.NullMarked;

/** One call to an agent, wherever it is attached. */
@NullMarked
package io.conexor.dispatch;

import org.jspecify.annotations.NullMarked;

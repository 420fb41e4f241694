// Changes one thing in an inventory's text and leaves everything else, comments and layout included, as it stands. Pure.
#pragma once

#include <string>
#include <string_view>

#include "overlay/mesh/inventory.h"
#include "router/base/result.h"

namespace greywire::mesh {

// The text with a site's key (`rotating`: which takes the place of one that goes on counting), or with the site revoked. What comes out has been read back and says exactly that; an Error
// says what to write by hand where the text is laid out in a way that this does not follow. `inventory` is what `text` says.
Result<std::string> with_public_key(std::string_view text, const Inventory& inventory, std::string_view site, const PublicKey& key,
                                    bool rotating = false);
Result<std::string> with_revoked(std::string_view text, const Inventory& inventory, std::string_view site);

// There is no site of this name: a line that says so, with the nearest.
Error no_such_site(const Inventory& inventory, std::string_view name);

}  // namespace greywire::mesh

# Several shell scripts as one: Vagrant takes seconds to bring a script to an emulated machine.

require "shellwords"

module Drydock
  module Scripts
    FOLDER = File.expand_path("provision", __dir__)
    WORD = "DRYDOCK_SCRIPT_ENDS".freeze

    module_function

    # Text of a script that runs others one after the other: {"names.sh" => [arguments], …}.
    # The first that fails ends it.
    def together(scripts)
      parts = scripts.map do |name, arguments|
        text = File.read(File.join(FOLDER, name), encoding: "UTF-8").gsub("\r\n", "\n")
        "bash -c \"$(cat <<'#{WORD}'\n#{text.chomp}\n#{WORD}\n)\" #{name} #{Shellwords.join(arguments)}\n"
      end
      "#!/usr/bin/env bash\nset -euo pipefail\n#{parts.join}"
    end
  end
end

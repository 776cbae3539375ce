(block_mapping_pair key: (_) @name value: (flow_node) @value)
(flow_pair key: (_) @name value: (flow_node) @value)
(comment) @comment
